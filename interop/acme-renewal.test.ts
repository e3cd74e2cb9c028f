/** Certificates are renewed in time, or when the authority says so, and nobody who is connected notices. */
import assert from "node:assert/strict";
import { describe, type TestContext } from "node:test";
import timers from "node:timers/promises";
import { connectRelay, type RelayConnection } from "../relay/client/connection.ts";
import { createTrust } from "../relay/client/transport.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../relay/crypto/keys.ts";
import {
  type AcmePlace,
  anotherCertificate,
  createAcmePlace,
  hangUp,
  knownName,
  onNodeAndBun,
  pastWindow,
  replaced,
  says,
  servedCertificate,
  shakeHands,
  startAcmeRelay,
  startPebbleFor,
} from "./acme-relay.ts";
import { eventually } from "./eventually.ts";
import type { Pebble } from "./pebble.ts";

describe("a certificate is renewed", { concurrency: true }, () => {
  onNodeAndBun(
    "at half of a short life, and 200 clients lose no connection and no packet",
    async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place);
      const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags: { "acme-profile": "blink" } });
      const wish = { port: place.derpPort, name: knownName, root: pebble.root };
      await servedCertificate(wish);
      await using pairs = new Pairs(t, place, pebble);
      for (let count = 0; count < 100; count += 25) await pairs.grow(25);
      const talk = pairs.talk();
      talk.catch(() => {}); // Whoever waits meanwhile is told.
      const meanwhile = async <T>(wait: Promise<T>): Promise<T> => {
        const done = await Promise.race([talk, wait]);
        assert.ok(done !== undefined, "the talk goes on");
        return done;
      };
      // Twice: the authority may advise to renew the first certificate at once, which would be before all are there.
      let latest = await shakeHands(wish);
      for (const _ of [1, 2]) {
        await meanwhile(pairs.goOn());
        latest = await meanwhile(anotherCertificate(wish, latest));
        await meanwhile(pairs.goOn());
      }
      pairs.stop();
      await talk;
      assert.equal(pairs.count, 100);
      assert.equal(pebble.orders(), pebble.issued());
      assert.ok(pebble.orders() <= 5, `${pebble.orders()} orders`);
      await says(relay, /asking .*half of the certificate's lifetime/);
    },
  );

  onNodeAndBun("when the authority says so, and the order names what it replaces", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble });
    const wish = { port: place.derpPort, name: knownName, root: pebble.root };
    const first = await servedCertificate(wish);
    await pebble.setRenewalInfo(first.toString(), pastWindow());
    hangUp(relay);
    const second = await anotherCertificate(wish, first);
    assert.deepEqual([pebble.orders(), pebble.issued(), pebble.accounts()], [2, 2, 1]);
    await replaced(pebble, relay, first);
    await says(relay, /asking .*the CA advises to renew/);

    // Once is enough: the new one has a window of its own.
    const asked = pebble.renewalQuestions();
    hangUp(relay);
    await eventually("the relay has asked again", () => pebble.renewalQuestions() > asked);
    assert.equal((await shakeHands(wish)).serialNumber, second.serialNumber);
    assert.equal(pebble.orders(), 2);
  });

  onNodeAndBun("when the authority says so, for an IP address as well", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const flags = { certmode: "acme-ip", hostname: "127.0.0.1", "acme-profile": "shortlived" };
    const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
    const wish = { port: place.derpPort, name: "127.0.0.1", root: pebble.root };
    const first = await servedCertificate(wish);
    await pebble.setRenewalInfo(first.toString(), pastWindow());
    hangUp(relay);
    await anotherCertificate(wish, first);
    await replaced(pebble, relay, first);
    assert.equal(pebble.orders(), 2);
  });
});

/** Between a round and the next. */
const pauseMs = 100;

/**
 * Clients of one relay, two and two: one sends a number, the other sends it back, and so on. A packet that is lost leaves
 * both waiting, and the test does not end well.
 */
class Pairs implements AsyncDisposable {
  readonly #t: TestContext;
  readonly #place: AcmePlace;
  readonly #trust;
  readonly #pairs: { readonly alice: Client; readonly bob: Client; rounds: number }[] = [];
  #stopped = false;

  constructor(t: TestContext, place: AcmePlace, { root }: Pebble) {
    this.#t = t;
    this.#place = place;
    this.#trust = createTrust([root]);
  }

  /** Adds so many pairs. */
  async grow(count: number): Promise<void> {
    const added = Array.from({ length: count }, async () => {
      const [alice, bob] = await Promise.all([this.#join(), this.#join()]);
      this.#pairs.push({ alice, bob, rounds: 0 });
    });
    await Promise.all(added);
  }

  get count(): number {
    return this.#pairs.length;
  }

  /** Waits until each pair has sent five more numbers to and fro. */
  async goOn(): Promise<true> {
    const before = this.#pairs.map(({ rounds }) => rounds);
    await eventually("each pair has gone on", () =>
      this.#pairs.every(({ rounds }, index) => rounds >= (before[index] ?? 0) + 5),
    );
    return true;
  }

  /** Has all talk until `stop`. @throws Error if a connection ends or a packet is not the next one */
  async talk(): Promise<undefined> {
    await Promise.all(
      this.#pairs.map(async (pair) => {
        const { alice, bob } = pair;
        while (!this.#stopped) {
          const number = Buffer.from(`${pair.rounds}`);
          await pass(alice, bob, number, this.#t.signal);
          await pass(bob, alice, number, this.#t.signal);
          pair.rounds++;
          await timers.setTimeout(pauseMs);
        }
      }),
    );
    return undefined;
  }

  stop(): void {
    this.#stopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    const clients = this.#pairs.flatMap(({ alice, bob }) => [alice, bob]);
    await Promise.all(clients.map(({ connection }) => connection[Symbol.asyncDispose]()));
  }

  async #join(): Promise<Client> {
    const privateKey = generatePrivateKey();
    const connection = await connectRelay({
      endpoint: { address: "127.0.0.1", port: this.#place.derpPort },
      identity: { hostName: knownName, certName: "" },
      trust: this.#trust,
      privateKey,
      signal: this.#t.signal,
    });
    return { key: publicKeyOf(privateKey), connection };
  }
}

interface Client {
  readonly key: NodeKey;
  readonly connection: RelayConnection;
}

async function pass(from: Client, to: Client, packet: Buffer, signal: AbortSignal): Promise<void> {
  from.connection.send(to.key, packet);
  const received = await to.connection.receive(signal);
  assert.deepEqual(received.type === "packet" && [received.source, received.packet], [from.key, packet]);
}
