/** Pebble itself, without a relay: what the other suites say about relays rests on what it does. */
import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import test from "node:test";
import { askPebble, startPebble, whyNoPebble } from "./pebble.ts";

const options = { skip: whyNoPebble, timeout: 60_000 };

test(
  "Pebble answers while its door is open, and refuses connections while it is shut",
  options,
  async (t) => {
    const pebble = await startPebble(t, { shut: true });
    await assert.rejects(askPebble(pebble), { code: "ECONNREFUSED" });
    await pebble.open();
    const { newOrder, meta } = (await askPebble(pebble)) as Directory;
    assert.equal(newOrder, pebble.directory.replace(/dir$/, "order-plz"));
    assert.deepEqual(Object.keys(meta.profiles), ["blink", "default", "shortlived"]);
    assert.equal(meta.externalAccountRequired, false);
    await pebble.shut();
    await assert.rejects(askPebble(pebble), { code: "ECONNREFUSED" });
    await pebble.open();
    await askPebble(pebble);
    assert.deepEqual([pebble.orders(), pebble.issued(), pebble.accounts()], [0, 0, 0]);
  },
);

test(
  "Pebble says so if it wants external accounts, and has the profiles that it is told",
  options,
  async (t) => {
    const pebble = await startPebble(t, { eab: true, profiles: ["shortlived"] });
    const { meta } = (await askPebble(pebble)) as Directory;
    assert.deepEqual(Object.keys(meta.profiles), ["shortlived"]);
    assert.equal(meta.externalAccountRequired, true);
  },
);

test("its DNS answers 127.0.0.1 and no IPv6 address until it is told something else", options, async (t) => {
  const pebble = await startPebble(t);
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${pebble.dnsPort}`]);
  assert.deepEqual(await resolver.resolve4("relay.derpkit.test"), ["127.0.0.1"]);
  await assert.rejects(resolver.resolve6("relay.derpkit.test"));
  await pebble.setA("relay.derpkit.test", ["127.0.0.2"]);
  assert.deepEqual(await resolver.resolve4("relay.derpkit.test"), ["127.0.0.2"]);
  await pebble.setA("relay.derpkit.test", ["127.0.0.3", "127.0.0.1"]);
  assert.deepEqual(await resolver.resolve4("relay.derpkit.test"), ["127.0.0.3", "127.0.0.1"]);
  assert.deepEqual(await resolver.resolve4("other.derpkit.test"), ["127.0.0.1"]);
});

interface Directory {
  readonly newOrder: string;
  readonly meta: {
    readonly profiles: Readonly<Record<string, string>>;
    readonly externalAccountRequired: boolean;
  };
}
