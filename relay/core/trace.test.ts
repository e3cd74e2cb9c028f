import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameType } from "../protocol/frame.ts";
import { Client, Stage } from "../testing/cast.ts";

/** A stage on which everybody but probers is traced, and what is told. */
function tracedStage(): { stage: Stage; told: string[] } {
  const told: string[] = [];
  const names = new Map<string, string>();
  const name = (key: Buffer): string => names.get(key.toString("hex")) ?? "somebody";
  const stage = new Stage({}, [], undefined, {
    trace: {
      dropped: (reason, source, destination) =>
        void told.push(`${name(source)} to ${name(destination)}: ${reason}`),
      client: (key, { isProber }) =>
        isProber
          ? undefined
          : {
              registered: (connections) => void told.push(`${name(key)} is in, ${connections}`),
              frame: (type, length) => void told.push(`${name(key)}: frame ${type}, ${length} bytes`),
              closed: (reason) => void told.push(`${name(key)} closed: ${reason}`),
            },
    },
  });
  for (const who of ["alice", "bob", "cathy"]) names.set(stage.keyOf(who).toString("hex"), who);
  return { stage, told };
}

test("who is traced is told of from its login on, with each frame's header, to its end", () => {
  const { stage, told } = tracedStage();
  const alice = stage.join("alice");
  stage.join("alice");
  stage.join("bob", { isProber: true }).saysFrame(FrameType.ping, Buffer.alloc(8));
  alice.saysFrame(FrameType.ping, Buffer.alloc(8));
  alice.session.close("end");
  assert.deepEqual(told, [
    "alice is in, 1",
    "alice is in, 2",
    `alice: frame ${FrameType.ping}, 8 bytes`,
    "alice closed: end",
  ]);
});

test("a drop is told with its two keys, also of what waited for a client that has left", () => {
  const { stage, told } = tracedStage();
  const [alice, bob] = [stage.join("alice", { isProber: true }), stage.join("bob", { isProber: true })];
  alice.send(stage.keyOf("cathy"), Buffer.from("nobody is there"));
  bob.stall();
  for (const packet of ["it is written", "it waits"]) {
    alice.send(bob, Buffer.from(packet));
    stage.pass();
  }
  bob.session.close("end");
  assert.deepEqual(told, ["alice to cathy: unknown_dest", "alice to bob: gone_disconnected"]);
});

test("the relay's own probes are not traced", () => {
  const { stage, told } = tracedStage();
  const probe = new Client(stage, "alice", {}, "openProbe");
  probe.login();
  stage.pass();
  probe.send(stage.keyOf("bob"), Buffer.from("nobody is there"));
  assert.deepEqual(told, []);
});
