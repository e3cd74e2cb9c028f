/** Round trips of DERP pings at a fixed pace on one connection: how late a relay answers that has little to do. */
import timers from "node:timers/promises";
import { FrameType } from "../../../relay/protocol/frame.ts";
import { encodeFrame } from "../../../relay/protocol/writer.ts";
import { RunFailed, type Values } from "../derpbench.ts";
import { percentile } from "../statistics.ts";
import { createConnect, type Target } from "./client.ts";
import { pace } from "./pace.ts";

export interface PingTask {
  readonly task: "ping";
  readonly target: Target;
  readonly everyMs: number;
  readonly seconds: number;
}

const lastAnswerMs = 1_000;

/** A ping that is late does not hold up the next, so that each stall counts as often as it is long. In ms. */
export async function loadPing({ target, everyMs, seconds }: PingTask): Promise<Values> {
  const sentAt: number[] = [];
  const trips: number[] = [];
  using client = await createConnect(target)((frame) => {
    if (frame.type !== "pong") return;
    trips.push(performance.now() - (sentAt[frame.payload.readUInt32BE(0)] ?? NaN));
  });
  const sent = await pace(1_000 / everyMs, seconds, (index) => {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(index);
    sentAt[index] = performance.now();
    client.stream.write(encodeFrame(FrameType.ping, payload));
  });
  await timers.setTimeout(lastAnswerMs);
  if (trips.length < sent) throw new RunFailed(`${sent - trips.length} of ${sent} pings were not answered`);
  return {
    pingP50: percentile(trips, 0.5),
    pingP99: percentile(trips, 0.99),
    pingMost: percentile(trips, 1),
  };
}
