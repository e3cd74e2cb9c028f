/** What is in the certificate folder outlives the relay, and what is wrong with the folder does not end it. */
import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { describe } from "node:test";
import {
  createAcmePlace,
  hangUp,
  holds,
  knownName,
  onNodeAndBun,
  pastWindow,
  says,
  servedCertificate,
  shakeHands,
  startAcmeRelay,
  startPebbleFor,
} from "./acme-relay.ts";
import { eventually } from "./eventually.ts";
import { mountSmallDisk, whyNoSmallDisk } from "./small-disk.ts";

describe("the certificate folder", { concurrency: true }, () => {
  onNodeAndBun("a relay that is started again serves what it has, and orders nothing", async (t, kind) => {
    const place = await createAcmePlace(t);
    const pebble = await startPebbleFor(t, place);
    const relay = await startAcmeRelay(t, { ...place, kind, pebble });
    const wish = { port: place.derpPort, name: knownName, root: pebble.root };
    const first = await servedCertificate(wish);
    await holds(path.join(place.certDir, knownName), first.toString());
    await relay.kill();
    const asked = pebble.renewalQuestions();
    await relay.restart();
    assert.equal((await servedCertificate(wish)).serialNumber, first.serialNumber);
    // It has made up its mind when it has asked when to renew.
    await eventually("the relay has asked when to renew", () => pebble.renewalQuestions() > asked);
    assert.deepEqual([pebble.orders(), pebble.accounts()], [1, 1]);

    // Without the authority it is the same.
    await relay.kill();
    await pebble.shut();
    await relay.restart();
    assert.equal((await servedCertificate(wish)).serialNumber, first.serialNumber);
  });

  onNodeAndBun("two relays with one folder order one certificate, and both serve it", async (t, kind) => {
    const [one, other] = [await createAcmePlace(t), await createAcmePlace(t)];
    const { certDir, relays: shared } = one;
    // It cannot know which of them will order. It takes its time, so that the second one comes while the first is at it.
    const pebble = await startPebbleFor(t, one, { believing: true, slowSeconds: 5 });
    const relays = await Promise.all(
      [one, other].map((place) => startAcmeRelay(t, { ...place, certDir, relays: shared, kind, pebble })),
    );
    const certificates = await Promise.all(
      relays.map(({ derpPort }) => servedCertificate({ port: derpPort, name: knownName, root: pebble.root })),
    );
    assert.equal(certificates[0]?.serialNumber, certificates[1]?.serialNumber);
    assert.deepEqual([pebble.accounts(), pebble.orders(), pebble.issued()], [1, 1, 1]);
    for (const relay of relays) await says(relay, /certificate of localhost: .*valid until/);
    assert.equal(relays.filter((relay) => /asking \S+/.test(relay.log())).length, 1, "one has asked");
  });

  onNodeAndBun(
    "a relay that is killed while it orders has its certificate when it is back",
    async (t, kind) => {
      const place = await createAcmePlace(t);
      const pebble = await startPebbleFor(t, place, { slowSeconds: 5 });
      const relay = await startAcmeRelay(t, { ...place, kind, pebble });
      await eventually("it is asked for its proof", () => pebble.log().includes("Pulled a task"));
      await relay.kill();
      await relay.restart();
      const wish = { port: place.derpPort, name: knownName, root: pebble.root };
      const leaf = await servedCertificate(wish);
      await holds(path.join(place.certDir, knownName), leaf.toString());
      await says(relay, /certificate of localhost: .*valid until/);
      assert.equal(pebble.accounts(), 1);
      assert.ok(pebble.orders() <= 2, `${pebble.orders()} orders`);
      // What is just being written is there for a moment.
      await eventually("nothing is left over", async () => {
        const names = await readdir(place.certDir, { recursive: true });
        return !names.some((name) => /\.(new|tmp|draft|pair)$|probe/.test(name));
      });
    },
  );

  for (const { title, spoil, words } of [
    { title: "full", spoil: "fill", words: /space|ENOSPC|full|room/i },
    { title: "read-only", spoil: "makeReadOnly", words: /read-only|EROFS/i },
  ] as const) {
    onNodeAndBun(
      `a folder that is ${title} costs no order, and the relay serves what it has`,
      async (t, kind) => {
        if (whyNoSmallDisk) return t.skip(whyNoSmallDisk);
        const usual = await createAcmePlace(t);
        const disk = mountSmallDisk(t);
        const place = { ...usual, certDir: path.join(disk.folder, "certs") };
        const pebble = await startPebbleFor(t, place);
        const relay = await startAcmeRelay(t, { ...place, kind, pebble });
        const wish = { port: place.derpPort, name: knownName, root: pebble.root };
        const first = await servedCertificate(wish);
        await holds(path.join(place.certDir, knownName), first.toString());
        await says(relay, /asked next at/);
        await disk[spoil]();
        await pebble.setRenewalInfo(first.toString(), pastWindow());
        hangUp(relay);
        await says(relay, words);
        assert.equal((await shakeHands(wish)).serialNumber, first.serialNumber);
        assert.equal(pebble.orders(), 1);

        // A relay that begins there serves it as well.
        await relay.kill();
        await relay.restart();
        assert.equal((await servedCertificate(wish)).serialNumber, first.serialNumber);
        assert.equal(pebble.orders(), 1);
      },
    );

    onNodeAndBun(`a new relay whose folder is ${title} says so, and orders nothing`, async (t, kind) => {
      if (whyNoSmallDisk) return t.skip(whyNoSmallDisk);
      const usual = await createAcmePlace(t);
      const disk = mountSmallDisk(t);
      const place = { ...usual, certDir: path.join(disk.folder, "certs") };
      await mkdir(place.certDir);
      await disk[spoil]();
      const pebble = await startPebbleFor(t, place);
      const relay = await startAcmeRelay(t, { ...place, kind, pebble });
      await says(relay, words);
      assert.deepEqual([pebble.accounts(), pebble.orders()], [0, 0]);
      assert.doesNotThrow(() => process.kill(relay.pid, 0), "it goes on");
    });
  }
});
