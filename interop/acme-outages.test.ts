/**
 * The authority is away, or does not let the relay through: the relay goes on, tries again, and gets there without anybody.
 *
 * Real time goes by: the first pause after a failed attempt is about a minute. The tests wait side by side.
 */
import assert from "node:assert/strict";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe } from "node:test";
import {
  anotherCertificate,
  createAcmePlace,
  knownName,
  onNodeAndBun,
  says,
  servedCertificate,
  shakeHands,
  startAcmeRelay,
  startPebbleFor,
} from "./acme-relay.ts";
import { eventually } from "./eventually.ts";

describe("a relay that does not get what it asks for", { concurrency: true }, () => {
  onNodeAndBun(
    "serves nothing while its authority is away from the start, says so, and has its certificate afterwards",
    async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place, { shut: true });
      const relay = await startAcmeRelay(t, { ...place, kind, pebble });
      const wish = { port: place.derpPort, name: knownName, root: pebble.root };
      await says(relay, /unreachable/);
      await says(relay, /asked next at/);
      await assert.rejects(shakeHands(wish));
      await pebble.open();
      await servedCertificate(wish);
      assert.equal(pebble.orders(), 1);
    },
  );

  onNodeAndBun(
    "serves what it has while its authority is away, though that is due, and renews it afterwards",
    async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place);
      const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags: { "acme-profile": "blink" } });
      const wish = { port: place.derpPort, name: knownName, root: pebble.root };
      await servedCertificate(wish);
      await pebble.shut();
      // It is due after 20 s at the latest, and good for 20 s more.
      await says(relay, /unreachable.*shown still/);
      const old = await shakeHands(wish);
      await says(relay, /asked next at/);
      await pebble.open();
      // The old one may have ended meanwhile, and this client is strict.
      await anotherCertificate(wish, old);
    },
  );

  onNodeAndBun("tries with the authority for trials before it asks the real one again", async (t, kind) => {
    const place = await createAcmePlace(t);
    const [pebble, staging] = [await startPebbleFor(t, place), await startPebbleFor(t, place)];
    const caFile = path.join(place.files.folder, "both.pem");
    await writeFile(caFile, await readFile(pebble.caFile, "utf8"));
    await appendFile(caFile, await readFile(staging.caFile, "utf8"));
    // Nobody listens there.
    await pebble.setA(knownName, ["127.0.0.2"]);
    const flags = { "acme-ca": caFile, "acme-staging": staging.directory };
    const relay = await startAcmeRelay(t, { ...place, kind, pebble, flags });
    await says(relay, /asked next at/);
    assert.deepEqual([pebble.issued(), staging.orders()], [0, 0]);
    const spent = pebble.orders();
    await eventually(
      "the other one has issued a certificate",
      () => staging.issued() > 0 || pebble.orders() > spent,
    );
    assert.equal(staging.issued(), 1);
    await pebble.setA(knownName, ["127.0.0.1"]);
    await servedCertificate({ port: place.derpPort, name: knownName, root: pebble.root });
    assert.equal(staging.issued(), 1);
    await says(relay, /trial/);
  });
});
