/** One sender, and a receiver that reads more slowly than it sends. */
import { encodeSendPacket } from "../../../relay/protocol/writer.ts";
import { RunFailed, type Values } from "../derpbench.ts";
import { watchMemory } from "../memory.ts";
import { percentile } from "../statistics.ts";
import { createConnect, type Target } from "./client.ts";
import { pace } from "./pace.ts";
import { throttle } from "./throttle.ts";

export interface ThrottledTask {
  readonly task: "throttled";
  readonly target: Target;
  readonly size: number;
  /** Bytes of packets, and bytes of the stream. */
  readonly sentPerSecond: number;
  readonly readPerSecond: number;
  /** Unthrottled, and then throttled. */
  readonly seconds: number;
}

/**
 * First the receiver reads everything, so that the relay has compiled and taken what it takes for such a stream; then it
 * is throttled. The memory's growth is from the one to the other. Ages are of the throttled time's second half.
 */
export async function loadThrottled(task: ThrottledTask): Promise<Values> {
  const { target, size, sentPerSecond, readPerSecond, seconds } = task;
  const connect = createConnect(target);
  let countFrom = Infinity;
  const ages: number[] = [];
  using receiver = await connect((frame) => {
    if (frame.type !== "packet" || performance.now() < countFrom) return;
    ages.push((performance.now() - frame.packet.readDoubleBE(0)) / 1_000);
  });
  using sender = await connect(() => {});
  const send = (): void => {
    const packet = Buffer.alloc(size);
    packet.writeDoubleBE(performance.now());
    sender.stream.write(encodeSendPacket(receiver.key, packet));
  };
  const perSecond = sentPerSecond / size;
  const before = await watchMemory(target.pid, pace(perSecond, seconds, send));
  throttle(receiver.stream, readPerSecond);
  countFrom = performance.now() + (seconds / 2) * 1_000;
  const after = await watchMemory(target.pid, pace(perSecond, seconds, send));
  if (receiver.lost || sender.lost) throw new RunFailed("the relay ended a connection");
  if (ages.length === 0) throw new RunFailed("nothing arrived");
  return {
    ageP50: percentile(ages, 0.5),
    ageP99: percentile(ages, 0.99),
    growth: after.peak - before.peak,
    delivered: ages.length / (seconds / 2),
    memory: after.peak,
  };
}
