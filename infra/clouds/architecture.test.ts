import assert from "node:assert/strict";
import { test } from "node:test";
import { architectureOf } from "./architecture.ts";

test("a size says by its family what kind of processor it has", () => {
  for (const size of ["t4g.micro", "c7gn.medium", "a1.large", "m8g.large", "im4gn.large"]) {
    assert.equal(architectureOf("aws", size), "arm64", size);
  }
  for (const size of ["t3.micro", "t3a.nano", "g4dn.xlarge", "t8i.nano", "m5.large"]) {
    assert.equal(architectureOf("aws", size), "x64", size);
  }
  assert.equal(architectureOf("hetzner", "cax11"), "arm64");
  for (const size of ["cx23", "cpx22", "ccx13"]) assert.equal(architectureOf("hetzner", size), "x64", size);
});
