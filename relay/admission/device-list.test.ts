import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAccessToken, parseDeviceKeys } from "./device-list.ts";

const one = "01".repeat(32);
const two = "ab".repeat(32);
const three = "ef".repeat(32);
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

test("a device list gives the keys of its devices, but not of one that waits for approval or has none", () => {
  const devices = [
    { nodeKey: `nodekey:${one}`, authorized: true, hostname: "alice" },
    { nodeKey: `nodekey:${two.toUpperCase()}` },
    { nodeKey: `nodekey:${three}`, authorized: true, isExternal: true, machineKey: "" },
    { nodeKey: `nodekey:${"cd".repeat(32)}`, authorized: false },
    { nodeKey: "", authorized: true },
    { nodeKey: "nodekey:short" },
    { nodeKey: 7 },
    {},
    null,
    "device",
  ];
  assert.deepEqual(parseDeviceKeys(json({ devices })), new Set([one, two, three]));
});

test("anything but an object with a list of devices is no device list", () => {
  for (const text of [
    "",
    "null",
    "[]",
    "7",
    "{}",
    '{"devices":null}',
    '{"devices":{}}',
    '{"devices":[',
    "<html>",
  ]) {
    assert.equal(parseDeviceKeys(Buffer.from(text)), undefined, text);
  }
});

test("a token is text that fits into a header, with a life of its own", () => {
  const token = {
    access_token: "tskey-api-x",
    token_type: "Bearer",
    expires_in: 3_600,
    scope: "devices:core:read",
  };
  assert.deepEqual(parseAccessToken(json(token)), { value: "tskey-api-x", livesMs: 3_600_000 });
  for (const change of [
    { access_token: "" },
    { access_token: "two words" },
    { access_token: "x\r\nHost: elsewhere" },
    { access_token: 7 },
    { access_token: undefined },
    { expires_in: "3600" },
    { expires_in: 0 },
    { expires_in: -1 },
    { expires_in: undefined },
  ]) {
    assert.equal(parseAccessToken(json({ ...token, ...change })), undefined, JSON.stringify(change));
  }
});

test("any JSON is read without an exception", () => {
  const device = fc.oneof(fc.jsonValue(), fc.record({ nodeKey: fc.jsonValue(), authorized: fc.jsonValue() }));
  fc.assert(
    fc.property(fc.array(device), fc.jsonValue(), (devices, other) => {
      assert.ok(parseDeviceKeys(json({ devices })) instanceof Set);
      parseDeviceKeys(json(other));
      parseAccessToken(json(other));
    }),
  );
});
