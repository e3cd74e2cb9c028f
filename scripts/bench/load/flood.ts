/** One receiver, one who floods it, and one who sends it a few packets: how many of these are lost? */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import timers from "node:timers/promises";
import { encodeSendPacket } from "../../../relay/protocol/writer.ts";
import { RunFailed, type Values } from "../derpbench.ts";
import { createConnect, type Target } from "./client.ts";
import { pace } from "./pace.ts";
import { throttle } from "./throttle.ts";

export interface FloodTask {
  readonly task: "flood";
  readonly target: Target;
  readonly size: number;
  /** Of the quiet sender. */
  readonly packetsPerSecond: number;
  /** Bytes of the stream: the receiver reads no more, so that the flood is more than it takes. */
  readonly readPerSecond: number;
  readonly warmup: number;
  readonly seconds: number;
  /** In which what was sent before may still arrive. */
  readonly end: number;
}

/** Packets that leave in one write: the flooder need not behave as a client does. */
const packetsPerWrite = 12;

/** The flood begins with the warm-up and lasts until the quiet sender has sent its last packet. */
export async function loadFlood(task: FloodTask): Promise<Values> {
  const { target, size, packetsPerSecond, readPerSecond, warmup, seconds, end } = task;
  const connect = createConnect(target);
  const arrived = new Set<number>();
  let floodArrived = 0;
  using quiet = await connect(() => {});
  using flooder = await connect(() => {});
  using receiver = await connect((frame) => {
    if (frame.type !== "packet") return;
    if (quiet.key.equals(frame.source)) arrived.add(frame.packet.readUInt32BE(0));
    else floodArrived++;
  });
  throttle(receiver.stream, readPerSecond);

  const stop = new AbortController();
  const begun = performance.now();
  const flooding = flood(flooder.stream, encodeSendPacket(receiver.key, Buffer.alloc(size)), stop.signal);
  await timers.setTimeout(warmup * 1_000);
  const sent = await pace(packetsPerSecond, seconds, (index) => {
    const packet = Buffer.alloc(size);
    packet.writeUInt32BE(index);
    quiet.stream.write(encodeSendPacket(receiver.key, packet));
  });
  stop.abort();
  const flooded = await flooding;
  const floodSeconds = (performance.now() - begun) / 1_000;
  await timers.setTimeout(end * 1_000);
  if (receiver.lost || quiet.lost || flooder.lost) throw new RunFailed("the relay ended a connection");
  return {
    lost: (1 - arrived.size / sent) * 100,
    floodSent: flooded / floodSeconds,
    floodLost: (1 - floodArrived / flooded) * 100,
  };
}

/** Writes as much as the relay takes. @returns how many packets that was */
async function flood(stream: Duplex, frame: Buffer, signal: AbortSignal): Promise<number> {
  const frames = Buffer.concat(Array.from({ length: packetsPerWrite }, () => frame));
  let sent = 0;
  while (!signal.aborted && !stream.destroyed) {
    const room = stream.write(frames);
    sent += packetsPerWrite;
    // Either way others get their turn.
    if (room) await timers.setImmediate();
    else await once(stream, "drain", { signal }).catch(() => {});
  }
  return sent;
}
