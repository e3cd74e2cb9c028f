/** One sender, and a receiver that gets less than it is sent. */
import { execFile } from "node:child_process";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import type { NodeKey } from "../../../relay/crypto/keys.ts";
import { encodeSendPacket } from "../../../relay/protocol/writer.ts";
import { RunFailed, type Values } from "../derpbench.ts";
import { watchMemory } from "../memory.ts";
import { slowPortArguments } from "../slow-link.ts";
import { percentile } from "../statistics.ts";
import { type Client, createConnect, type Target } from "./client.ts";
import { pace } from "./pace.ts";
import { throttle } from "./throttle.ts";

export interface ThrottledTask {
  readonly task: "throttled";
  readonly target: Target;
  readonly size: number;
  /** Bytes of packets. */
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  /** What holds the receiver up: its link, which is slow, or that it reads slowly. */
  readonly by: "link" | "reading";
  /** Of each half: to a receiver like any other, then to the slow one. */
  readonly seconds: number;
}

/**
 * First the packets go to a receiver that takes them all, so that the relay has compiled and taken what it takes for such
 * a stream; then to the slow one. The memory's growth is from the one to the other. Ages are in seconds, of what arrives
 * in the second half of the slow time.
 */
export async function loadThrottled(task: ThrottledTask): Promise<Values> {
  const { target, size, sentPerSecond, seconds } = task;
  const connect = createConnect(target);
  let countFrom = Infinity;
  const ages: number[] = [];
  using sender = await connect(() => {});
  using ready = await connect(() => {});
  using slow = await connect((frame) => {
    if (frame.type !== "packet" || performance.now() < countFrom) return;
    ages.push((performance.now() - frame.packet.readDoubleBE(0)) / 1_000);
  });
  await slowDown(slow, task);
  const sendTo = (receiver: NodeKey): Promise<number> =>
    pace(sentPerSecond / size, seconds, () => {
      const packet = Buffer.alloc(size);
      packet.writeDoubleBE(performance.now());
      sender.stream.write(encodeSendPacket(receiver, packet));
    });
  const before = await watchMemory(target.pid, sendTo(ready.key));
  countFrom = performance.now() + (seconds / 2) * 1_000;
  const after = await watchMemory(target.pid, sendTo(slow.key));
  if ([sender, ready, slow].some(({ lost }) => lost)) throw new RunFailed("the relay ended a connection");
  if (ages.length === 0) throw new RunFailed("nothing arrived");
  return {
    ageP50: percentile(ages, 0.5),
    ageP99: percentile(ages, 0.99),
    growth: after.peak - before.peak,
    delivered: ages.length / (seconds / 2),
    memory: after.peak,
  };
}

async function slowDown({ stream }: Client, { by, receivedPerSecond }: ThrottledTask): Promise<void> {
  if (by === "reading") {
    throttle(stream, receivedPerSecond);
    return;
  }
  const { localPort = 0 } = stream as TLSSocket;
  await promisify(execFile)("tc", slowPortArguments(localPort));
}
