/** Statements 70 to 77: several connections with one key. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { FrameType, PeerGoneReason } from "../../relay/protocol/frame.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { type Client, join } from "./client.ts";
import { outstanding, type Rig, statement } from "./suite.ts";

/** One sender, and connections of one key in the order of their login. */
async function stage(rig: Rig, count: number): Promise<{ sender: Client; clones: Client[] }> {
  const privateKey = generatePrivateKey();
  const clones: Client[] = [];
  for (let index = 0; index < count; index++) clones.push(await join(rig, { privateKey }));
  return { sender: await join(rig), clones };
}

/** Sends a packet to the key that the clones share: only this one of them gets it. */
async function expectActive(sender: Client, active: Client | undefined): Promise<void> {
  assert.ok(active !== undefined);
  sender.send(active, "who is it?");
  await active.receives(sender, "who is it?");
}

/** As above, after another one has left: derper closes a connection a moment before it forgets it. */
async function becomesActive(sender: Client, active: Client | undefined): Promise<void> {
  assert.ok(active !== undefined);
  const seen = { packet: false };
  const received = active.next().finally(() => (seen.packet = true));
  do {
    sender.send(active, "who is it?");
    await sender.sync();
  } while (!seen.packet);
  assert.equal((await received).type, FrameType.recvPacket);
  await active.sync(); // Takes what was sent more than once.
}

/** Sends a frame that does nothing, and waits until it was seen: a packet to somebody else comes back through him. */
async function speak(client: Client | undefined, sender: Client): Promise<void> {
  assert.ok(client !== undefined);
  client.frame(FrameType.keepAlive);
  client.send(sender, "spoke");
  await sender.receives(client, "spoke");
}

statement("70. Given one connection comes and goes, then no duplicate state remains.", async (rig) => {
  const privateKey = generatePrivateKey();
  const sender = await join(rig);
  for (const _ of [1, 2]) {
    const client = await join(rig, { privateKey });
    await expectActive(sender, client);
    await client.leave();
  }
  await sender.hearsNothing();
});

statement(
  "71. Given c1 then c2 with the same key, then c2 receives; when c1 goes, c2 is single.",
  async (rig) => {
    const { sender, clones } = await stage(rig, 2);
    const [c1, c2] = clones;
    await expectActive(sender, c2);
    await c1?.leave();
    await becomesActive(sender, c2);
  },
);

statement(
  "72. Given c1, c2 (last-writer policy), when c1 sends any frame, then c1 receives; when c2 sends, then c2; neither is disabled; when c2 leaves, then c1.",
  async (rig) => {
    const { sender, clones } = await stage(rig, 2);
    const [c1, c2] = clones;
    for (const clone of [c1, c2, c1, c2]) {
      await speak(clone, sender);
      await expectActive(sender, clone);
    }
    await c2?.leave();
    await becomesActive(sender, c1);
  },
);

describe("72. Given c1 and c2, when c1 sends one frame of any type and nothing else, then c1 receives.", () => {
  for (const [name, type] of [
    ["Ping", FrameType.ping],
    ["KeepAlive", FrameType.keepAlive],
    ["NotePreferred", FrameType.notePreferred],
    ["a frame of an unknown type", 0x77],
  ] as const)
    statement(name, async (rig) => {
      const { sender, clones } = await stage(rig, 2);
      const [c1] = clones;
      assert.ok(c1 !== undefined);
      const seen = { active: false };
      const c1Receives = async (): Promise<void> => {
        while ((await c1.next()).type !== FrameType.recvPacket);
        seen.active = true;
      };
      const received = c1Receives();
      c1.frame(type, Buffer.alloc(type === FrameType.notePreferred ? 1 : 8));
      // More from c1 would be another frame, so the only sign that this one was handled is where packets go.
      for (let turn = 0; !seen.active && turn < 1_000; turn++) {
        sender.send(c1, "probe");
        await sender.sync();
      }
      await received;
    });
});

const fighters = "an optional policy, which derper has for its tests alone";
outstanding(
  "73. Given policy disable-fighters (if implemented) and c2, c1 sending alternately, then both are disabled and nobody receives; c3 registers → c3 receives; c3 leaves → nobody; c2 leaves → c1 enabled.",
  fighters,
);
outstanding(
  "74. Given c1, c2, c3 under that policy, when c1 sends, then all three are disabled (c1 was in the history).",
  fighters,
);

statement("75. Given c1, c2, c3, when c2 sends and then c3 leaves, then c2 is active.", async (rig) => {
  const { sender, clones } = await stage(rig, 3);
  const [, c2, c3] = clones;
  await speak(c2, sender);
  await c3?.leave();
  await becomesActive(sender, c2);
});

statement(
  "75. (beyond) Given c1, c2, c3 of which the active one leaves, then another one is active, and the last one gets what comes.",
  async (rig) => {
    const { sender, clones } = await stage(rig, 3);
    const [c1, c2, c3] = clones;
    await speak(c1, sender);
    await speak(c3, sender);
    await c3?.leave();
    await becomesActive(sender, c1);
    await c1?.leave();
    await becomesActive(sender, c2);
  },
);

statement(
  "75. (beyond) Given four connections that speak in turn, then each that leaves is followed by the one that spoke before it.",
  async (rig) => {
    const { sender, clones } = await stage(rig, 4);
    const [c1, c2, , c4] = clones;
    for (const clone of [c1, c2, c4]) await speak(clone, sender);
    await c4?.leave();
    await becomesActive(sender, c2);
    await c2?.leave();
    await becomesActive(sender, c1);
  },
);

outstanding(
  "76. Given all disabled, when a packet arrives, then drop reason `dup_client`, no PeerGone.",
  fighters,
);

statement("77. Given two connections and one ends, then no PeerGone for that key to anyone.", async (rig) => {
  const { sender, clones } = await stage(rig, 2);
  const [c1, c2] = clones;
  await speak(c1, sender);
  await speak(c2, sender);
  await c2?.leave();
  await becomesActive(sender, c1);
  await sender.hearsNothing();
  await c1?.leave();
  assert.ok(c1 !== undefined);
  await sender.hearsGone(c1.key, PeerGoneReason.disconnected);
});
