import assert from "node:assert/strict";
import { test } from "node:test";
import { findSealedNames, parseSecretsArguments, renderSecretsArguments } from "./places.ts";

const unit = (args: string): string =>
  `[Service]\nType=oneshot\nExecStart=/opt/derpkit/updater/runtime/runtime /opt/derpkit/updater/updater.mjs ${args}\nUMask=0077\n`;

test("the unit that fetches secrets says which, and by which way; an older one means the instance's", () => {
  const names = ["mesh-key", "status-token"];
  for (const channel of ["instance", "sealed"] as const) {
    const text = renderSecretsArguments(channel, names);
    assert.deepEqual(parseSecretsArguments(text.split(" ").slice(1)), { channel, names });
    assert.deepEqual(findSealedNames(unit(text)), channel === "sealed" ? names : []);
  }
  assert.equal(renderSecretsArguments("instance", ["tailnet-api"]), "--secrets tailnet-api");
  for (const other of ["", "[Service]\nExecStart=/bin/true\n", unit("")])
    assert.deepEqual(findSealedNames(other), []);
});
