import assert from "node:assert/strict";
import { test } from "node:test";
import { findDetour, parseDetour, parsePlace } from "./detour.ts";

test("a detour is PUBLIC:PORT=HOST:PORT, with IPv6 addresses in brackets", () => {
  assert.deepEqual(parseDetour("203.0.113.5:443=127.0.0.1:8443"), {
    from: { host: "203.0.113.5", port: 443 },
    to: { host: "127.0.0.1", port: 8443 },
  });
  assert.deepEqual(parseDetour("[2001:DB8::0:5]:3478=[::1]:3478"), {
    from: { host: "2001:db8::5", port: 3478 },
    to: { host: "::1", port: 3478 },
  });
  assert.deepEqual(parseDetour("Relay.Example:443=localhost:1")?.from, { host: "relay.example", port: 443 });
});

test("anything else is no detour", () => {
  const texts = [
    "",
    "a:1",
    "a:1=b",
    "a=b:1",
    "a:0=b:1",
    "a:1=b:65536",
    "a:1=b:1=c:1",
    "2001:db8::5:443=b:1",
    "[relay.example]:443=b:1",
    "[192.0.2.1]:443=b:1",
    ":1=b:1",
    "a b:1=c:1",
    "a:1x=b:1",
  ];
  for (const text of texts) assert.equal(parseDetour(text), undefined, text);
  assert.equal(parsePlace("a"), undefined);
});

test("a detour is found by address or name in any spelling, and by the port; the first one counts", () => {
  const detours = ["[2001:db8::5]:443=a:1", "relay.example:443=b:2", "relay.example:443=c:3"].flatMap(
    (text) => parseDetour(text) ?? [],
  );
  assert.deepEqual(findDetour(detours, "2001:0db8:0::5", 443), { host: "a", port: 1 });
  assert.deepEqual(findDetour(detours, "RELAY.example", 443), { host: "b", port: 2 });
  assert.equal(findDetour(detours, "relay.example", 3478), undefined);
});
