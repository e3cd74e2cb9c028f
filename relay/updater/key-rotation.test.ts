/** The keys that a node trusts: how they change, and what they are after the machine was built anew. */
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { decodeState } from "./state.ts";
import { type Actor, type Keys, makeKeys, openStage, type Offer, type Stage } from "./testing/stage.ts";
import type { UpdaterOptions } from "./updater.ts";

const [a, b, c] = [makeKeys(), makeKeys(), makeKeys()];

/** A node whose first release is signed by A. */
interface Node {
  readonly stage: Stage;
  actor: Actor;
  /** Has the node see a manifest, its sequence one more. @returns the codes of what was refused */
  offer(signer: Keys, trust?: readonly Keys[], change?: Partial<Offer>): Promise<string[]>;
  /** Ends the machine and starts another, which has the node's volume and nothing else. */
  rebuild(bootKeys: readonly Keys[]): Promise<void>;
}

async function bootNode(t: TestContext, bootKeys: readonly Keys[] = [a]): Promise<Node> {
  const stage = await openStage(t);
  const start = (keys: readonly Keys[]): Actor => {
    const options: Partial<UpdaterOptions> = {
      trustedKeys: keys.map(({ trusted }) => trusted),
      stateFolder: path.join(stage.folder, "volume"),
    };
    return stage.start(options);
  };
  await stage.publish({ sequence: 1, relay: "R1" }, a);
  const node: Node = {
    stage,
    actor: start(bootKeys),
    async offer(signer, trust, change = {}) {
      const sequence = (node.actor.updater.status().sequence ?? 0) + 1;
      const offer = { sequence, relay: `R${sequence}`, ...change };
      await stage.publish({ ...offer, ...(trust === undefined ? {} : { trust }) }, signer);
      await node.actor.clock.poll();
      return node.actor.updater.status().refusals.map(({ code }) => code);
    },
    async rebuild(keys) {
      await node.actor.updater.stop();
      await rm(stage.root, { recursive: true, force: true });
      await stage.service.stop();
      node.actor = start(keys);
      await node.actor.updater.ready.catch(() => {});
    },
  };
  t.after(() => node.actor.updater.stop());
  await node.actor.updater.ready;
  return node;
}

/** A node that trusted A, then A and B, and now B alone. */
async function rotatedNode(t: TestContext): Promise<Node> {
  const node = await bootNode(t);
  assert.deepEqual(await node.offer(a, [a, b]), []);
  assert.deepEqual(await node.offer(b, [b]), []);
  return node;
}

test("a rotation from A to A and B to B takes place while the updater runs, and A is refused after it", async (t) => {
  const node = await rotatedNode(t);
  assert.deepEqual(await node.offer(a, [a]), ["manifest-signature"]);
  assert.deepEqual(await node.offer(a), ["manifest-signature"]);
  assert.deepEqual(await node.offer(b, [b]), []);
  assert.equal(await node.stage.service.runningCode(), "R4");
});

test("until a manifest names the next key, it opens nothing", async (t) => {
  const node = await bootNode(t);
  assert.deepEqual(await node.offer(b, [a, b]), ["manifest-signature"]);
  assert.deepEqual(await node.offer(a), []);
  assert.deepEqual(await node.offer(b, [b]), ["manifest-signature"]);
});

test("a manifest that names no keys leaves them as they are", async (t) => {
  const node = await rotatedNode(t);
  assert.deepEqual(await node.offer(b), []);
  assert.deepEqual(await node.offer(a), ["manifest-signature"]);
});

test("a manifest whose keys lack the one that signed it is refused, and changes no trust", async (t) => {
  const node = await bootNode(t, [a, b]);
  assert.deepEqual(await node.offer(a, [b]), ["manifest-malformed"]);
  assert.deepEqual(node.actor.updater.status().refusals[0]?.code, "manifest-malformed");
  assert.deepEqual(await node.offer(a, [a]), []);
});

test("the keys are kept with what was accepted, also of a release that then fails", async (t) => {
  const node = await bootNode(t);
  assert.deepEqual(await node.offer(a, [a, b], { relay: "sick" }), ["relay-exited"]);
  const file = path.join(node.stage.folder, "volume", "updater.json");
  const { keys, accepted } = decodeState(await readFile(file));
  assert.deepEqual([keys?.trusted, accepted?.sequence], [[a.named, b.named].toSorted(), 2]);
  assert.deepEqual(await node.offer(b, [b], { relay: "R3" }), []);
});

test("an updater that is started again trusts what it did", async (t) => {
  const node = await rotatedNode(t);
  await node.actor.updater.stop();
  node.actor = node.stage.start({
    trustedKeys: [a.trusted],
    stateFolder: path.join(node.stage.folder, "volume"),
  });
  await node.actor.updater.ready;
  assert.deepEqual(await node.offer(a), ["manifest-signature"]);
  assert.deepEqual(await node.offer(b), []);
});

test("a machine built anew with the keys of the one before trusts those on its volume, and no others", async (t) => {
  const node = await rotatedNode(t);
  await node.rebuild([a]);
  assert.equal(await node.stage.service.runningCode(), "R3");
  assert.deepEqual(await node.offer(a, [a]), ["manifest-signature"]);
  assert.deepEqual(await node.offer(b, [b]), []);
});

test("a machine built anew with other keys trusts those, and no longer the ones on its volume", async (t) => {
  const node = await rotatedNode(t);
  await node.rebuild([c]);
  assert.deepEqual(await node.offer(b, [b], { sequence: 4 }), ["manifest-signature"]);
  assert.deepEqual(await node.offer(c, undefined, { sequence: 4 }), []);
  await t.test("and what was forgotten does not come back with the first keys", async () => {
    await node.rebuild([a]);
    assert.deepEqual(await node.offer(b, [b], { sequence: 5 }), ["manifest-signature"]);
    assert.deepEqual(await node.offer(a, [a], { sequence: 5 }), []);
  });
});

test("new keys do not let an old manifest in", async (t) => {
  const node = await rotatedNode(t);
  await node.rebuild([c]);
  assert.deepEqual(await node.offer(c, [c], { sequence: 2 }), ["manifest-replayed"]);
});
