import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameType } from "../protocol/frame.ts";
import { Client, discoPacket, Stage } from "../testing/cast.ts";

const meshKey = Buffer.alloc(32, 7);
const mesh = { meshKey: meshKey.toString("hex") };

function joinProbe(stage: Stage): Client {
  const probe = new Client(stage, "probe", {}, "openProbe");
  probe.login({ isProber: true, ...mesh });
  stage.pass();
  return probe;
}

test("the relay's own probe logs in as anybody, and no client, relay of the mesh or counter sees it", () => {
  const stage = new Stage({}, [meshKey]);
  const watcher = stage.join("watcher", mesh);
  watcher.saysFrame(FrameType.watchConns);
  const alice = stage.join("alice");
  watcher.seen.length = 0;
  const before = structuredClone(stage.core.counters);

  const probe = joinProbe(stage);
  assert.deepEqual(
    probe.seen.map(({ type }) => type),
    [FrameType.serverKey, FrameType.serverInfo],
  );
  probe.send(alice, discoPacket());
  probe.saysFrame(FrameType.ping, Buffer.alloc(8));
  stage.pass();
  assert.deepEqual(
    probe.seen.slice(2).map(({ type }) => type),
    [FrameType.peerGone, FrameType.pong],
    "to the probe nobody is there",
  );
  assert.deepEqual([alice.seen, watcher.seen], [[], []]);
  assert.deepEqual(structuredClone(stage.core.counters), before);
  assert.deepEqual([stage.core.size, stage.core.router.population.local], [2, 2]);

  alice.send(probe, discoPacket());
  stage.pass();
  assert.equal(alice.ofType(FrameType.peerGone).length, 1, "nobody can reach it");
  probe.saysFrame(FrameType.watchConns);
  assert.equal(probe.closed, "protocol", "the mesh key makes no relay of it");
  assert.deepEqual(watcher.seen, []);
});

test("a probe is held to the same deadlines, and leaves with the relay", () => {
  const stage = new Stage({ loginMs: 1_000 });
  const mute = new Client(stage, "probe", {}, "openProbe");
  const probe = joinProbe(stage);
  stage.pass(1_000);
  assert.deepEqual([mute.closed, probe.closed], ["login-timeout", undefined]);
  stage.core.close("shutdown");
  assert.equal(probe.closed, "shutdown");
});
