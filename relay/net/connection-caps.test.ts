import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionCaps, type Place, sourceOf } from "./connection-caps.ts";

const limits = { total: 1_000, waitingPerSource: 2, exempt: () => false };

test("a source may have so many connections that are not logged in; those that are do not count", () => {
  const caps = new ConnectionCaps(limits);
  const places = [caps.enter("192.0.2.1"), caps.enter("::ffff:192.0.2.1")] as Place[];
  assert.equal(caps.enter("192.0.2.1"), undefined);
  assert.ok(caps.enter("192.0.2.2"), "another source has its own");
  places[0]?.settle();
  places[0]?.settle();
  assert.ok(caps.enter("192.0.2.1"), "one is logged in");
  assert.equal(caps.enter("192.0.2.1"), undefined, "which counts once");
  places[1]?.leave();
  places[1]?.leave();
  assert.ok(caps.enter("192.0.2.1"), "one has ended");
  assert.equal(caps.enter("192.0.2.1"), undefined);
  assert.deepEqual(caps.refused, { total: 0, source: 3 });
  assert.equal(caps.open, 4);
});

test("there are so many connections in all, logged in or not", () => {
  const caps = new ConnectionCaps({ ...limits, total: 2 });
  const [one] = [caps.enter("192.0.2.1"), caps.enter("192.0.2.2")];
  one?.settle();
  assert.equal(caps.enter("192.0.2.3"), undefined);
  one?.leave();
  assert.ok(caps.enter("192.0.2.3"));
  assert.deepEqual(caps.refused, { total: 1, source: 0 });
});

test("proxies and relays of the mesh have no limit of their own, nor has anybody with 0", () => {
  const free = new ConnectionCaps({ ...limits, exempt: (address) => address === "192.0.2.9" });
  const none = new ConnectionCaps({ ...limits, waitingPerSource: 0 });
  for (let i = 0; i < 20; i++) {
    assert.ok(free.enter("192.0.2.9"));
    assert.ok(none.enter("192.0.2.1"));
  }
});

test("a source is an IPv4 address, also in its mapped form, or 64 bits of an IPv6 address", () => {
  assert.equal(sourceOf("192.0.2.1"), "192.0.2.1");
  assert.equal(sourceOf("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(sourceOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(sourceOf("2001:db8:1:2::1"), "2001:db8:1:2::/64");
  assert.equal(sourceOf("fe80::1%eth0"), "fe80::/64");
});
