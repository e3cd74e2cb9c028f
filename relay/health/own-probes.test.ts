import assert from "node:assert/strict";
import { test } from "node:test";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../crypto/keys.ts";
import { OwnProbes } from "./own-probes.ts";

test("a probe is known by protocol, address and port, until its listener has seen it", () => {
  const own = new OwnProbes(() => 7);
  own.expect("tcp", { address: "127.0.0.1", port: 40_000 });
  own.expect("udp", { address: "::1", port: 40_001 });
  assert.equal(own.recognise("tcp", "127.0.0.1", 40_000), true);
  assert.equal(own.recognise("tcp", "::ffff:127.0.0.1", 40_000), true, "as a listener on :: sees it");
  assert.equal(own.recognise("udp", "::1", 40_001), true);
  const others = [
    ["udp", "127.0.0.1", 40_000],
    ["tcp", "192.0.2.1", 40_000],
    ["tcp", "127.0.0.1", 40_001],
    ["tcp", "::1", 40_000],
    ["tcp", undefined, 40_000],
    ["tcp", "", 40_000],
  ] as const;
  for (const [protocol, address, port] of others) {
    assert.equal(own.recognise(protocol, address, port), false, `${protocol} ${address} ${port}`);
  }
  own.forget("tcp", { address: "127.0.0.1", port: 40_000 });
  assert.equal(own.recognise("tcp", "127.0.0.1", 40_000), false, "somebody else may have the port now");
  assert.equal(own.recognise("udp", "::1", 40_001), true);
});

test("probes of both families may come from the same port", () => {
  const own = new OwnProbes(() => 7);
  for (const address of ["127.0.0.1", "::1"]) own.expect("tcp", { address, port: 40_000 });
  own.forget("tcp", { address: "127.0.0.1", port: 40_000 });
  assert.equal(own.recognise("tcp", "127.0.0.1", 40_000), false);
  assert.equal(own.recognise("tcp", "::1", 40_000), true);
});

test("a link-local address is known without its zone, which a listener need not tell", () => {
  const own = new OwnProbes(() => 7);
  own.expect("tcp", { address: "fe80::1%eth0", port: 40_000 });
  assert.equal(own.recognise("tcp", "fe80::1", 40_000), true);
});

test("the place of a probe that was given up is known for 30 s, and not for ever", () => {
  let now = 0;
  const own = new OwnProbes(() => now);
  const knows = (): boolean => own.recognise("tcp", "127.0.0.1", 40_000);
  own.expect("tcp", { address: "127.0.0.1", port: 40_000 });
  now = 29_999;
  own.expect("tcp", { address: "127.0.0.1", port: 40_001 });
  assert.equal(knows(), true);
  now = 30_000;
  assert.equal(knows(), false);
  own.expect("tcp", { address: "127.0.0.1", port: 40_000 });
  assert.equal(knows(), true, "another probe may come from there");
});

test("the gate lets in whoever has the probes' key, and nobody else", async () => {
  const own = new OwnProbes(() => 7);
  const gate = own.createGate();
  const ask = (key: NodeKey): Promise<[boolean, number]> =>
    new Promise((resolve) => {
      gate.ask(
        key,
        Buffer.alloc(16),
        (...decision) => resolve(decision),
        () => {},
      );
    });
  assert.deepEqual(await ask(publicKeyOf(own.privateKey)), [true, 7]);
  assert.deepEqual(await ask(publicKeyOf(generatePrivateKey())), [false, 7]);
});
