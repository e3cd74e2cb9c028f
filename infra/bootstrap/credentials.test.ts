import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { relayConfigSchema } from "../../relay/config/schema.ts";
import { credentialKinds, credentialsOf, findSecretFault } from "./credentials.ts";

const key = "0123456789abcdef".repeat(4);

test("a region's relays are given what it names, and each thing is a path among the relay's options", () => {
  const named = (region: Parameters<typeof credentialsOf>[0]) =>
    credentialsOf(region).map(({ kind, key: from }) => `${kind.name} from ${from}`);
  assert.deepEqual(named({ admission: {} }), []);
  assert.deepEqual(
    named({ mesh: "keys", statusToken: "token", admission: { tailnetApi: { secret: "reader" } } }),
    ["mesh-key from keys", "status-token from token", "tailnet-api from reader"],
  );
  for (const { option } of credentialKinds)
    assert.equal(Object(v.getMetadata(relayConfigSchema.entries[option])).kind, "path", option);
});

const values: Readonly<Record<string, readonly [good: readonly string[], bad: readonly string[]]>> = {
  "mesh-key": [
    [key, `${key}\n${key.toUpperCase()}\n`],
    ["", "hunter2", `${key}0`, `${key},${key}`],
  ],
  "status-token": [
    [key, " abcdefghijklmnop\n"],
    ["", "hunter2", "two words of some length", "ü".repeat(16)],
  ],
  "tailnet-api": [
    ["tskey-client-k-1", "x\n"],
    ["", "\n", "two words"],
  ],
};

for (const kind of credentialKinds) {
  test(`a value of ${kind.name} that the relay could not use is told of, and not shown`, () => {
    const [good, bad] = values[kind.name] ?? [[], []];
    assert.ok(good.length > 0);
    for (const value of good) assert.equal(findSecretFault(kind, value), undefined);
    for (const value of bad) {
      const fault = findSecretFault(kind, value) ?? "";
      assert.match(fault, /^is not what the relay needs; set it to /);
      assert.ok(value.trim() === "" || !fault.includes(value));
    }
  });
}
