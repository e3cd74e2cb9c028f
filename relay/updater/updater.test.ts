import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { KitError } from "../errors.ts";
import { encodeManifest, fetchedBefore, manifestFile, relayFile, signatureFile } from "./manifest.ts";
import { folderSource, type Source } from "./source.ts";
import type { Release } from "./service.ts";
import { signManifest } from "./signature.ts";
import { decodeState } from "./state.ts";
import { type Actor, makeKeys, type Offer, offerManifest, openStage, type Stage } from "./testing/stage.ts";

const A: Offer = { sequence: 1, relay: "A" };
const B: Offer = { sequence: 2, relay: "B" };
const sickB: Offer = { sequence: 2, relay: "sick B" };

/** A stage on which release A runs. */
async function stageWithA(t: TestContext): Promise<Stage & { actor: Actor }> {
  const stage = await openStage(t);
  await stage.publish(A);
  const actor = stage.start();
  t.after(() => actor.updater.stop());
  await actor.updater.ready;
  stage.service.calls.length = 0;
  return Object.assign(stage, { actor });
}

/** What holds whenever something was refused: the relay that ran runs on, untouched, and the reason is logged once. */
async function assertRefused(stage: Stage & { actor: Actor }, code: string): Promise<void> {
  const { actor, service } = stage;
  await actor.clock.poll();
  await actor.clock.poll();
  await actor.clock.poll();
  assert.deepEqual(actor.refusals(), [code]);
  assert.deepEqual(service.calls, []);
  assert.equal(await service.runningCode(), "A");
  assert.equal(await stage.current(), "A");
  assert.deepEqual(
    actor.updater.status().refusals.map((refusal) => refusal.code),
    [code],
  );
}

test("the first release is started, and ready says when it is healthy", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  const { updater, events } = stage.start();
  t.after(() => updater.stop());
  await updater.ready;
  assert.deepEqual(stage.service.calls, ["start A", "healthy A"]);
  assert.equal(await stage.current(), "A");
  assert.deepEqual(
    events.map((event) => event.kind),
    ["trying", "running"],
  );
  const { running, sequence, refusals } = updater.status();
  assert.deepEqual([running?.version, sequence, refusals], ["0.1.0+A", 1, []]);
});

test("a manifest that was taken before changes nothing", async (t) => {
  const { actor, service } = await stageWithA(t);
  await actor.clock.poll();
  assert.deepEqual(service.calls, []);
  assert.deepEqual(actor.refusals(), []);
});

test("a new release takes the place of the old one", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.actor.clock.poll();
  assert.deepEqual(stage.service.calls, ["start B", "healthy B"]);
  assert.equal(await stage.current(), "B");
});

test("a manifest that changes only other nodes leaves this one alone, and no older one is taken after it", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish({ ...A, sequence: 2, configs: { "901b": '{"other": true}' } });
  await stage.actor.clock.poll();
  assert.equal(stage.actor.updater.status().sequence, 2);
  await stage.publish(A);
  await assertRefused(stage, "manifest-replayed");
});

test("a release with another list and nothing else is taken without a start, and gone on from as from any other", async (t) => {
  const stage = await openStage(t);
  await stage.publish({ ...A, allow: "one" });
  const { updater, clock } = stage.start();
  t.after(() => updater.stop());
  await updater.ready;
  await stage.publish({ ...A, sequence: 2, allow: "two" });
  await clock.poll();
  assert.deepEqual(stage.service.calls, ["start A", "healthy A", "reload A", "healthy A"]);
  assert.equal(await stage.currentList(), "two");
  assert.equal(updater.status().running?.digest, stage.service.running?.digest);
  assert.equal(updater.status().sequence, 2);
  await stage.publish({ ...A, sequence: 3, allow: "three" });
  await clock.poll();
  assert.equal((await readdir(path.join(stage.root, "releases"))).length, 2);
  await stage.publish({ ...B, sequence: 4, allow: "three" });
  await clock.poll();
  assert.deepEqual(stage.service.calls.slice(-4), ["reload A", "healthy A", "start B", "healthy B"]);
});

test("old content under a new sequence is taken", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.actor.clock.poll();
  await stage.publish({ ...A, sequence: 3 });
  await stage.actor.clock.poll();
  assert.equal(await stage.service.runningCode(), "A");
  assert.deepEqual(stage.actor.refusals(), []);
});

test("a release that is still on the machine is not fetched again", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.actor.clock.poll();
  await stage.publish({ ...A, sequence: 3 });
  await rm(path.join(stage.delivery, relayFile));
  await stage.actor.clock.poll();
  assert.equal(await stage.service.runningCode(), "A");
});

test("the release that runs and the one before are kept, no others", async (t) => {
  const stage = await stageWithA(t);
  for (const [index, relay] of ["B", "C", "D"].entries()) {
    await stage.publish({ sequence: index + 2, relay });
    await stage.actor.clock.poll();
  }
  const releases = await readdir(path.join(stage.root, "releases"));
  const codes = await Promise.all(
    releases.map((name) => readFile(path.join(stage.root, "releases", name, relayFile), "utf8")),
  );
  assert.deepEqual(codes.toSorted(), ["C", "D"]);
});

test("a relay with one byte changed is refused, and taken once it is mended", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.deliver(relayFile, "b");
  await assertRefused(stage, "bundle-tampered");
  await stage.publish(B);
  await stage.actor.clock.poll();
  assert.equal(await stage.service.runningCode(), "B");
  assert.deepEqual(stage.actor.updater.status().refusals, []);
});

for (const [what, name, content] of [
  ["a configuration with other content", "config/901a.json", "[]"],
  ["a relay that is longer than the manifest says", relayFile, "B".repeat(100_000)],
  ["a relay that is cut short", relayFile, ""],
] as const) {
  test(`${what} is refused`, async (t) => {
    const stage = await stageWithA(t);
    await stage.publish({ ...B, configs: { "901a": '{"listen": ":1"}' } });
    await stage.deliver(name, content);
    await assertRefused(stage, "bundle-tampered");
  });
}

test("an updater that audits its delivery tells of a change to what runs already, and of its mending nothing", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  const actor = stage.start({ auditDelivery: true });
  t.after(() => actor.updater.stop());
  await actor.updater.ready;
  stage.service.calls.length = 0;
  await stage.deliver(relayFile, "a");
  await assertRefused(Object.assign(stage, { actor }), "bundle-tampered");
  await stage.publish(A);
  await actor.clock.poll();
  assert.deepEqual(actor.updater.status().refusals, []);
  assert.deepEqual(actor.refusals(), ["bundle-tampered"]);
});

test("a file that a node does not need is not looked at", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.deliver("config/901b.json", "tampered");
  await stage.actor.clock.poll();
  assert.equal(await stage.service.runningCode(), "B");
});

test("a manifest that was changed after it was signed is refused", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.deliver(manifestFile, encodeManifest(offerManifest({ ...B, sequence: 3 })));
  await assertRefused(stage, "manifest-signature");
});

test("a manifest that a key signed which the node does not trust is refused", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B, makeKeys());
  await assertRefused(stage, "manifest-signature");
});

test("a manifest without a signature is refused", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await rm(path.join(stage.delivery, signatureFile));
  await assertRefused(stage, "delivery-unreadable");
});

test("a manifest longer than any can be is refused without being read to its end", async (t) => {
  const stage = await stageWithA(t);
  await stage.deliver(manifestFile, Buffer.alloc(8_000_000, " "));
  await assertRefused(stage, "manifest-signature");
});

test("either of two trusted keys may sign", async (t) => {
  const stage = await openStage(t);
  const next = makeKeys();
  await stage.publish(A);
  const { updater, clock } = stage.start({ trustedKeys: [stage.keys.trusted, next.trusted] });
  t.after(() => updater.stop());
  await updater.ready;
  await stage.publish(B, next);
  await clock.poll();
  assert.equal(await stage.service.runningCode(), "B");
});

test("an older manifest is refused", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish({ ...A, sequence: 5 });
  await stage.actor.clock.poll();
  await stage.publish({ sequence: 4, relay: "old" });
  await assertRefused(stage, "manifest-replayed");
});

test("another manifest with the same sequence is refused", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish({ ...B, sequence: 1 });
  await assertRefused(stage, "manifest-replayed");
});

for (const [what, change] of [
  ["stack", { stack: "production" }],
  ["region", { region: "bravo" }],
] as const) {
  test(`a manifest for another ${what} is refused`, async (t) => {
    const stage = await stageWithA(t);
    await stage.publish({ ...B, ...change });
    await assertRefused(stage, "manifest-foreign");
  });
}

test("a manifest that does not name the node is refused", async (t) => {
  const stage = await stageWithA(t);
  const manifest = offerManifest(B);
  const others = manifest.nodes.filter((node) => node.name !== "901a");
  await stage.publishManifest(encodeManifest({ ...manifest, nodes: others }));
  await assertRefused(stage, "manifest-foreign");
});

test("a signed manifest with a path that leads out of the release is refused", async (t) => {
  const stage = await stageWithA(t);
  const manifest = offerManifest(B);
  const evil = { path: "../../escaped", sha256: "0".repeat(64), size: 0 };
  await stage.publishManifest(encodeManifest({ ...manifest, files: [...manifest.files, evil] }));
  await assertRefused(stage, "manifest-malformed");
});

test("a link in the place of a file is refused, also if it leads to the right bytes", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await writeFile(path.join(stage.folder, "elsewhere"), "B");
  await rm(path.join(stage.delivery, relayFile));
  await symlink(path.join(stage.folder, "elsewhere"), path.join(stage.delivery, relayFile));
  await assertRefused(stage, "delivery-unreadable");
});

test("a FIFO in the place of a file keeps nobody waiting", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await rm(path.join(stage.delivery, relayFile));
  await promisify(execFile)("mkfifo", [path.join(stage.delivery, relayFile)]);
  await assertRefused(stage, "delivery-unreadable");
});

test("a bundle that is just being published is refused by nobody's log", async (t) => {
  const stage = await stageWithA(t);
  const folder = folderSource(stage.delivery);
  let halfDone = true;
  // The signature is new and the manifest is not, until the updater has looked.
  await stage.deliver(signatureFile, signManifest(encodeManifest(offerManifest(B)), stage.keys.signing));
  await stage.actor.updater.stop();
  const source: Source = {
    async fetch(file, limits) {
      const bytes = await folder.fetch(file, limits);
      if (file === signatureFile && halfDone) await stage.publish(B);
      if (file === signatureFile) halfDone = false;
      return bytes;
    },
  };
  const { updater, refusals } = stage.start({ source });
  t.after(() => updater.stop());
  await updater.ready;
  assert.equal(await stage.service.runningCode(), "B");
  assert.deepEqual(refusals(), []);
});

test("a release that does not become healthy is gone back from and not tried again", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(sickB);
  await stage.actor.clock.poll();
  assert.deepEqual(stage.service.calls, ["start sick B", "start A", "healthy A"]);
  assert.equal(await stage.current(), "A");
  await stage.actor.clock.poll();
  await stage.actor.clock.poll();
  assert.equal(stage.service.calls.length, 3);
  assert.deepEqual(stage.actor.refusals(), ["relay-exited", "release-failed"]);
});

test("a release that failed is remembered by the next updater, and under a new sequence", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(sickB);
  await stage.actor.clock.poll();
  await stage.actor.updater.stop();
  stage.service.calls.length = 0;
  await stage.publish({ ...sickB, sequence: 3, configs: { "901b": '{"other": true}' } });
  const { updater, clock } = stage.start();
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "release-failed" });
  await clock.poll();
  assert.deepEqual(stage.service.calls, ["healthy A"]);
  assert.equal(updater.status().sequence, 3);
});

test("a release that failed is tried again when a person asks, and after another one was published", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(sickB);
  await stage.actor.clock.poll();
  await stage.actor.updater.stop();
  stage.service.calls.length = 0;
  const { updater, clock } = stage.start({ retryFailed: true });
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "relay-exited" });
  await stage.publish({ ...A, sequence: 3 });
  await clock.poll();
  await stage.publish({ ...sickB, sequence: 4 });
  await clock.poll();
  assert.equal(stage.service.calls.filter((call) => call === "start sick B").length, 2);
});

for (const relay of ["hanging", "silent"]) {
  test(`a release that is not healthy in time is gone back from (${relay})`, async (t) => {
    const stage = await stageWithA(t);
    await stage.actor.updater.stop();
    await stage.publish({ sequence: 2, relay });
    const { updater } = stage.start({ healthLimit: 1 });
    t.after(() => updater.stop());
    await assert.rejects(updater.ready, { code: "relay-not-ready" });
    assert.equal(await stage.service.runningCode(), "A");
  });

  test(`stopping during a trial ends at once and is no verdict on the release (${relay})`, async (t) => {
    const stage = await stageWithA(t);
    await stage.publish({ sequence: 2, relay });
    void stage.actor.clock.poll();
    await stage.service.hangs.promise;
    await stage.actor.updater.stop();
    assert.deepEqual(stage.actor.refusals(), []);
    const state = decodeState(await readFile(path.join(stage.root, "state", "updater.json")));
    assert.deepEqual([state.failed, state.trial], [undefined, undefined]);
  });
}

test("a first release that does not become healthy is stopped, and tried again at each poll", async (t) => {
  const stage = await openStage(t);
  await stage.publish(sickB);
  const { updater, clock, refusals } = stage.start();
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "relay-exited" });
  await clock.poll();
  assert.deepEqual(stage.service.calls, ["start sick B", "stop", "start sick B", "stop"]);
  assert.deepEqual(refusals(), ["relay-exited"]);
});

test("a start without a delivery runs the release that is there", async (t) => {
  const stage = await stageWithA(t);
  await stage.actor.updater.stop();
  await stage.service.stop();
  await rm(stage.delivery, { recursive: true });
  const { updater, clock } = stage.start();
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "delivery-unreadable" });
  assert.equal(await stage.service.runningCode(), "A");
  await stage.publish(B);
  await clock.poll();
  assert.equal(await stage.service.runningCode(), "B");
});

test("a start with a newer delivery never runs the old release", async (t) => {
  const stage = await stageWithA(t);
  await stage.actor.updater.stop();
  await stage.service.stop();
  await stage.publish(B);
  stage.service.calls.length = 0;
  const { updater } = stage.start();
  t.after(() => updater.stop());
  await updater.ready;
  assert.deepEqual(stage.service.calls, ["start B", "healthy B"]);
});

test("a release that was altered on the machine is fetched again", async (t) => {
  const stage = await stageWithA(t);
  await stage.actor.updater.stop();
  await stage.service.stop();
  await writeFile(path.join(stage.root, "current", relayFile), "altered");
  const { updater } = stage.start();
  t.after(() => updater.stop());
  await updater.ready;
  assert.equal(await stage.service.runningCode(), "A");
});

for (const what of ["file", "folder"]) {
  test(`a ${what} in the place of the link to the release that runs gives way to the link`, async (t) => {
    const stage = await stageWithA(t);
    await stage.actor.updater.stop();
    await stage.service.stop();
    const link = path.join(stage.root, "current");
    await rm(link);
    if (what === "file") await writeFile(link, "");
    else await cp(path.join(stage.root, "releases"), link, { recursive: true });
    const { updater } = stage.start();
    t.after(() => updater.stop());
    await updater.ready;
    assert.equal(await stage.current(), "A");
  });
}

test("a machine that was built anew refuses a manifest older than what its node had", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish(B);
  await stage.actor.clock.poll();
  await stage.actor.updater.stop();
  await stage.service.stop();
  await rm(path.join(stage.root, "releases"), { recursive: true });
  await rm(path.join(stage.root, "current"));
  await stage.publish(A);
  const { updater, clock } = stage.start();
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "manifest-replayed" });
  assert.equal(stage.service.running, undefined);
  await stage.publish(B);
  await clock.poll();
  assert.equal(await stage.service.runningCode(), "B");
});

test("an updater that cannot read what it accepted starts nothing and accepts nothing", async (t) => {
  const stage = await stageWithA(t);
  await stage.actor.updater.stop();
  await stage.service.stop();
  stage.service.calls.length = 0;
  await writeFile(path.join(stage.root, "state", "updater.json"), '{"format": 1, "accepted": 7}');
  const { updater, refusals } = stage.start();
  await assert.rejects(updater.ready, { code: "updater-state-invalid" });
  await updater.stop();
  assert.deepEqual(stage.service.calls, []);
  assert.deepEqual(refusals(), ["updater-state-invalid"]);
});

test("the pause between polls varies by a quarter around its mean", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  const draws = [0, 0.5, 1];
  const { updater, clock } = stage.start({ pollInterval: 60_000, random: () => draws.shift() ?? 0 });
  t.after(() => updater.stop());
  await clock.idle();
  await clock.poll();
  await clock.poll();
  assert.deepEqual(clock.pauses, [45_000, 60_000, 75_000]);
});

test("what a machine had before its first release is not fetched for it, if it is the same, and goes when that runs", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  const before = path.join(stage.root, "releases", fetchedBefore);
  await mkdir(path.join(before, "config"), { recursive: true });
  await writeFile(path.join(before, relayFile), "A");
  await writeFile(path.join(before, "config/901a.json"), "another");
  const folder = folderSource(stage.delivery);
  const fetched: string[] = [];
  const source: Source = {
    fetch(file, limits) {
      fetched.push(file);
      return folder.fetch(file, limits);
    },
  };
  const { updater } = stage.start({ source });
  t.after(() => updater.stop());
  await updater.ready;
  assert.deepEqual(fetched, [manifestFile, signatureFile, "config/901a.json"]);
  assert.equal(await stage.current(), "A");
  await assert.rejects(readdir(before), { code: "ENOENT" });
});

test("of a new release only the files that differ are fetched", async (t) => {
  const stage = await stageWithA(t);
  await stage.publish({ ...A, sequence: 2, configs: { "901a": '{"new": true}' } });
  await rm(path.join(stage.delivery, relayFile));
  await stage.actor.clock.poll();
  assert.deepEqual(stage.actor.refusals(), []);
  assert.deepEqual(stage.service.calls, ["start A", "healthy A"]);
});

test("a file that the delivery lacks is asked for at its mirrors, and held to the same digest", async (t) => {
  const stage = await openStage(t);
  const mirrors = ["https://mirror.example.com/relay.mjs"];
  const manifest = offerManifest(A);
  const files = manifest.files.map((file) => (file.path === relayFile ? { ...file, mirrors } : file));
  await stage.publish(A);
  await stage.publishManifest(encodeManifest({ ...manifest, files }));
  await rm(path.join(stage.delivery, relayFile));
  const asked: unknown[] = [];
  const folder = folderSource(stage.delivery);
  const offered = { bytes: Buffer.from("X") };
  const source: Source = {
    async fetch(file, limits) {
      const bytes = await folder.fetch(file, limits);
      if (bytes !== undefined || file !== relayFile) return bytes;
      asked.push(limits.mirrors);
      return offered.bytes;
    },
  };
  const { updater, clock, refusals } = stage.start({ source });
  t.after(() => updater.stop());
  await assert.rejects(updater.ready, { code: "bundle-tampered" });
  offered.bytes = Buffer.from("A");
  await clock.poll();
  assert.equal(await stage.service.runningCode(), "A");
  assert.deepEqual(asked.at(-1), mirrors);
  assert.deepEqual(refusals(), ["bundle-tampered"]);
});

test("a release is made ready before anything leads to it, and one that cannot be is not started", async (t) => {
  const stage = await stageWithA(t);
  const seen: string[] = [];
  const service = Object.assign(stage.service, {
    prepare: async (release: Release) => {
      seen.push(`${await readFile(release.code, "utf8")} while ${await stage.current()} is current`);
      if (seen.length === 1) throw new KitError("runtime-unusable");
    },
  });
  await stage.publish(B);
  await stage.actor.clock.poll();
  assert.equal(await service.runningCode(), "A");
  assert.equal(await stage.current(), "A");
  await stage.actor.clock.poll();
  assert.equal(await service.runningCode(), "B");
  assert.equal(seen.at(-1), "B while A is current");
});

test("a release that somebody else runs from is not removed", async (t) => {
  const stage = await openStage(t);
  await stage.publish(A);
  const used: string[] = [];
  const { updater, clock } = stage.start({
    inUse: async () => used,
    onRound: async ({ running }) => {
      if (used.length === 0) used.push(running?.digest ?? "");
    },
  });
  t.after(() => updater.stop());
  await updater.ready;
  for (const [index, relay] of ["B", "C", "D"].entries()) {
    await clock.idle();
    await stage.publish({ sequence: index + 2, relay });
    await clock.poll();
  }
  const kept = await readdir(path.join(stage.root, "releases"));
  assert.equal(kept.length, 3);
  assert.ok(kept.includes(used[0] ?? "none"));
});

test("memory may lie elsewhere than the releases, where it outlives them", async (t) => {
  const stage = await openStage(t);
  const stateFolder = path.join(stage.folder, "volume");
  await stage.publish(B);
  const { updater } = stage.start({ stateFolder });
  await updater.ready;
  await updater.stop();
  await rm(stage.root, { recursive: true });
  await stage.publish(A);
  const again = stage.start({ stateFolder });
  t.after(() => again.updater.stop());
  await assert.rejects(again.updater.ready, { code: "manifest-replayed" });
});
