/** Round trips of DERP pings at a fixed pace on one connection: how late a relay answers that has little to do. */
import timers from "node:timers/promises";
import { orGiveUp } from "../../../relay/client/failure.ts";
import { FrameType } from "../../../relay/protocol/frame.ts";
import { encodeFrame } from "../../../relay/protocol/writer.ts";
import type { Values } from "../derpbench.ts";
import { fillIn, percentile } from "../statistics.ts";
import { createConnect, type Target } from "./client.ts";

export interface PingTask {
  readonly task: "ping";
  readonly target: Target;
  readonly everyMs: number;
  readonly seconds: number;
}

const answerWithinMs = 10_000;

/**
 * Each ping waits for the one before, as relays answer only one of several that come together. Those that a late answer
 * held up are filled in, so that a stall counts as often as it is long. In ms.
 *
 * @throws RelayFailure if one is not answered at all
 */
export async function loadPing({ target, everyMs, seconds }: PingTask): Promise<Values> {
  let answer = Promise.withResolvers<void>();
  using client = await createConnect(target)(({ type }) => {
    if (type === "pong") answer.resolve();
  });
  const trips: number[] = [];
  const end = performance.now() + seconds * 1_000;
  let next = performance.now();
  while (next < end) {
    await timers.setTimeout(Math.max(0, next - performance.now()));
    answer = Promise.withResolvers();
    const sent = performance.now();
    client.stream.write(encodeFrame(FrameType.ping, Buffer.alloc(8)));
    await orGiveUp(answer.promise, AbortSignal.timeout(answerWithinMs), () => "Pong");
    trips.push(performance.now() - sent);
    next = Math.max(sent + everyMs, performance.now());
  }
  const all = fillIn(trips, everyMs);
  return { pingP50: percentile(all, 0.5), pingP99: percentile(all, 0.99), pingMost: percentile(all, 1) };
}
