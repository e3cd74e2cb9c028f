/** One receiver, one who floods it, and one who sends it a few packets: how many of these are lost? */
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
  /** Of the flooder, and of the quiet sender. */
  readonly floodPerSecond: number;
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

/** The flood begins with the warm-up and lasts until the quiet sender has sent its last packet, and a bit longer. */
export async function loadFlood(task: FloodTask): Promise<Values> {
  const { target, size, floodPerSecond, packetsPerSecond, readPerSecond, warmup, seconds, end } = task;
  const connect = createConnect(target);
  const arrived = new Set<number>();
  let flooded = 0;
  let floodArrived = 0;
  using quiet = await connect(() => {});
  using flooder = await connect(() => {});
  using receiver = await connect((frame) => {
    if (frame.type !== "packet") return;
    if (quiet.key.equals(frame.source)) arrived.add(frame.packet.readUInt32BE(0));
    else floodArrived++;
  });
  throttle(receiver.stream, readPerSecond);

  const frame = encodeSendPacket(receiver.key, Buffer.alloc(size));
  const frames = Buffer.concat(Array.from({ length: packetsPerWrite }, () => frame));
  const flooding = pace(floodPerSecond / packetsPerWrite, warmup + seconds + 1, () => {
    // What the relay does not take is not sent: the flood is no longer than it says.
    if (flooder.stream.writableNeedDrain) return;
    flooder.stream.write(frames);
    flooded += packetsPerWrite;
  });
  await timers.setTimeout(warmup * 1_000);
  const sent = await pace(packetsPerSecond, seconds, (index) => {
    const packet = Buffer.alloc(size);
    packet.writeUInt32BE(index);
    quiet.stream.write(encodeSendPacket(receiver.key, packet));
  });
  await flooding;
  await timers.setTimeout(end * 1_000);
  if (receiver.lost || quiet.lost || flooder.lost) throw new RunFailed("the relay ended a connection");
  return {
    lost: (1 - arrived.size / sent) * 100,
    floodSent: flooded / (warmup + seconds + 1),
    floodLost: (1 - floodArrived / flooded) * 100,
  };
}
