import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMeshKeys, parseMeshWith, renderMeshWith } from "./mesh.ts";

const key = "0123456789abcdef".repeat(4);
const pin = `sha256-raw:${"ab".repeat(32)}`;

test("5. a mesh key is 64 hex digits with white space around it, and nothing else", () => {
  assert.deepEqual(parseMeshKeys(`  ${key}\n\n`), [key]);
  assert.deepEqual(parseMeshKeys(`${key}\n${key.toUpperCase()}\n`), [key, key.toUpperCase()]);
  for (const text of ["badf00d", "", `${key}0`, `${key}\nbadf00d`])
    assert.equal(parseMeshKeys(text), undefined, text);
});

test("94. entries of -mesh-with are a host, a port, a place to dial and a pin", () => {
  const entry = { host: "a.example", dialHost: "a.example", port: 443, certName: "" };
  assert.deepEqual(parseMeshWith(""), []);
  assert.deepEqual(parseMeshWith("a.example"), [entry]);
  assert.deepEqual(parseMeshWith("a.example, a.example:8443"), [entry, { ...entry, port: 8443 }]);
  assert.deepEqual(parseMeshWith("a.example/10.0.0.1"), [{ ...entry, dialHost: "10.0.0.1" }]);
  assert.deepEqual(parseMeshWith(`[2001:db8::1]:1=${pin}`), [
    { host: "2001:db8::1", dialHost: "2001:db8::1", port: 1, certName: pin },
  ]);
  for (const text of ["a/b/c", "a,,b", "a/", "a:0", "a:65536", "a=pin", `=${pin}`, "[a]:1", `a=${pin}x`]) {
    assert.equal(parseMeshWith(text), undefined, text);
  }
});

test("what is rendered is read again as it was, and 443 needs no saying", () => {
  const texts = [
    "",
    "a.example",
    "a.example:8443,b.example",
    `a.internal/203.0.113.7=${pin},b.internal:8443/2001:db8::7=${pin}`,
    "2001:db8::1",
    "[2001:db8::1]:8443",
  ];
  for (const text of texts) assert.equal(renderMeshWith(parseMeshWith(text) ?? []), text);
});
