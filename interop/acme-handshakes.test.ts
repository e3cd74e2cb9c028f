/** With whom a relay shakes hands that has its certificate from an authority. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { eventually } from "./eventually.ts";
import {
  createAcmePlace,
  knownName,
  onNodeAndBun,
  servedCertificate,
  shakeHands,
  startAcmeRelay,
  startPebbleFor,
} from "./acme-relay.ts";

describe("a relay with a certificate of an authority", { concurrency: 4, timeout: 300_000 }, () => {
  onNodeAndBun("refuses other names, and acme-tls/1 when nothing is to be proven", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    await startAcmeRelay(t, { ...place, kind, pebble });
    const wish = { port: place.derpPort, name: knownName, root: pebble.root };
    const { serialNumber } = await servedCertificate(wish);
    for (const name of ["other.derpkit.test", "127.0.0.1"])
      await assert.rejects(shakeHands({ ...wish, name }), isRefusal, name);
    for (const name of [knownName, "other.derpkit.test"])
      await assert.rejects(shakeHands({ ...wish, name, alpn: ["acme-tls/1"] }), isRefusal, name);
    // Tailscale's clients offer nothing; others offer HTTP.
    assert.equal((await shakeHands({ ...wish, alpn: ["http/1.1"] })).serialNumber, serialNumber);
    assert.equal((await shakeHands(wish)).serialNumber, serialNumber);
    assert.equal(pebble.orders(), 1);
  });

  onNodeAndBun("goes on with its clients while it proves itself", async (t, kind) => {
    const place = await createAcmePlace(t);
    // Half a life is over after 20 s; then it proves itself for a while.
    const pebble = await startPebbleFor(t, place, { slowSeconds: 3 });
    await startAcmeRelay(t, { ...place, kind, pebble, flags: { "acme-profile": "blink" } });
    const wish = { port: place.derpPort, name: knownName, root: pebble.root };
    const first = await servedCertificate(wish);
    const seen: string[] = [];
    await eventually("there is another certificate", async () => {
      const { serialNumber } = await shakeHands(wish);
      seen.push(serialNumber);
      return serialNumber !== first.serialNumber;
    });
    assert.equal(new Set(seen).size, 2);
  });
});

/** The server's alert, or its end of the connection: not a time-out, and not a certificate that we find wrong. */
function isRefusal(error: Error & { code?: string }): boolean {
  return /ALERT|ECONNRESET|EPIPE|EPROTO|socket/i.test(`${error.code} ${error.message}`);
}
