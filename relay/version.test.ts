import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { packageVersion, version } from "./version.ts";

test("the version in the sources is that of the package", () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.partialDeepStrictEqual(manifest, { version: packageVersion });
});

test("sources that run as they are call themselves a development version", () => {
  assert.equal(version, `${packageVersion}+dev`);
});
