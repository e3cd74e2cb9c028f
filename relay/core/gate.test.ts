import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameType } from "../protocol/frame.ts";
import { encodeSendPacket } from "../protocol/writer.ts";
import { Client, Stage } from "../testing/cast.ts";
import type { Gate } from "./session-context.ts";

/** A gate whose answers the test gives. */
class Doorkeeper implements Gate {
  readonly asked: string[] = [];
  withdrawn = 0;
  decide: (admitted: boolean, now: number) => void = () => {};
  end: () => void = () => {};

  ask(...[key, , decide, end]: Parameters<Gate["ask"]>): () => void {
    this.asked.push(key.toString("hex"));
    this.decide = decide;
    this.end = end;
    return () => {
      this.withdrawn++;
    };
  }
}

const meshKey = Buffer.alloc(32, 7);

function gatedStage(): { stage: Stage; gate: Doorkeeper } {
  const gate = new Doorkeeper();
  return { stage: new Stage({}, [meshKey], gate), gate };
}

test("a client is not there and hears nothing until it is admitted, and what it sent meanwhile is then handled", () => {
  const { stage, gate } = gatedStage();
  const bob = stage.join("bob", { meshKey: meshKey.toString("hex") });
  const alice = new Client(stage, "alice");
  const said: Buffer[] = [];
  Object.assign(alice, { say: (bytes: Buffer) => said.push(bytes) }).login();
  const packet = encodeSendPacket(bob.key, Buffer.from("early"));
  alice.session.receive(Buffer.concat([...said, packet, packet.subarray(0, 10)]), stage.now);
  alice.session.receive(packet.subarray(10), stage.now);
  stage.pass();
  assert.deepEqual(gate.asked, [alice.key.toString("hex")]);
  assert.deepEqual([alice.seen.length, bob.packets.length, alice.pauses.length], [1, 0, 1]);
  assert.equal(stage.core.router.find(alice.key, 0), undefined);
  gate.decide(true, stage.now);
  stage.pass();
  assert.deepEqual(bob.packets, ["early", "early"]);
  assert.equal(alice.seen[1]?.type, FrameType.serverInfo);
  assert.deepEqual([alice.pauses.length, gate.withdrawn], [0, 0]);
  alice.session.close("end");
  assert.equal(gate.withdrawn, 1);
});

test("a client that is refused is closed without a further frame, as one that waits for longer than a login may take", () => {
  const refused = gatedStage();
  const alice = new Client(refused.stage, "alice");
  alice.login();
  refused.gate.decide(false, refused.stage.now);
  refused.stage.pass();
  assert.deepEqual([alice.closed, alice.seen.length], ["not-admitted", 1]);
  const waiting = gatedStage();
  const bob = new Client(waiting.stage, "bob");
  bob.login();
  waiting.stage.pass(10_000);
  assert.deepEqual([bob.closed, waiting.gate.withdrawn], ["login-timeout", 1]);
  waiting.gate.decide(true, waiting.stage.now);
  assert.equal(waiting.stage.core.size, 0, "the answer comes too late");
});

test("a client that may no longer stay is closed", () => {
  const { stage, gate } = gatedStage();
  const alice = new Client(stage, "alice");
  alice.login();
  gate.decide(true, stage.now);
  gate.end();
  assert.equal(alice.closed, "admission-ended");
});

test("99. whoever shows the mesh key is not asked about at all", () => {
  const { stage, gate } = gatedStage();
  stage.join("mesh", { meshKey: meshKey.toString("hex") });
  assert.deepEqual(gate.asked, []);
});

test("a client whose key has become full while the gate thought is held and refused, and the gate told once", () => {
  const gate = new Doorkeeper();
  const stage = new Stage({ perKey: 1 }, [], gate);
  const decisions: (() => void)[] = [];
  const clients = [1, 2].map(() => {
    const client = new Client(stage, "alice");
    client.login();
    const { decide } = gate;
    decisions.push(() => decide(true, stage.now));
    return client;
  });
  for (const decide of decisions) decide();
  stage.pass(5_000);
  assert.deepEqual(
    clients.map(({ closed }) => closed),
    [undefined, "too-many"],
  );
  assert.equal(gate.withdrawn, 1);
  const third = new Client(stage, "alice");
  third.login();
  assert.equal(gate.asked.length, 2, "a key that is full is not asked about");
  stage.pass(5_000);
  assert.equal(third.closed, "too-many");
});
