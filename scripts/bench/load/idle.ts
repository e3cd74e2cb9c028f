/** Connections that do nothing until they are asked whether they are alive, and when each got its first KeepAlive. */
import timers from "node:timers/promises";
import { FrameType } from "../../../relay/protocol/frame.ts";
import { encodeFrame } from "../../../relay/protocol/writer.ts";
import type { Values } from "../derpbench.ts";
import { crowding, percentile } from "../statistics.ts";
import { type Client, connectMany, createConnect, type Target } from "./client.ts";

export interface IdleTask {
  readonly task: "idle";
  readonly target: Target;
  readonly count: number;
}

const answerWithinMs = 30_000;

/**
 * Connects, says so, and holds the connections.
 *
 * @param ready is called when all are there
 * @param end resolves when they are to be asked
 * @returns `alive` in percent; of the seconds from login to the first KeepAlive the earliest, the latest and how crowded
 *   they are, in percent of the fullest second. Without a KeepAlive there are none of these.
 */
export async function loadIdle(
  { target, count }: IdleTask,
  ready: () => void,
  end: Promise<unknown>,
): Promise<Values> {
  const connect = createConnect(target);
  const firstKeepAlive = new Map<number, number>();
  let pongs = 0;
  const clients = await connectMany(count, async (index) => {
    let since = NaN;
    const client = await connect(({ type }) => {
      if (type === "pong") pongs++;
      if (type !== "keepAlive" || firstKeepAlive.has(index)) return;
      firstKeepAlive.set(index, (performance.now() - since) / 1_000);
    });
    since = performance.now();
    return client;
  });
  ready();
  await end;
  await pingAll(clients, () => pongs);
  const times = [...firstKeepAlive.values()];
  for (const client of clients) client[Symbol.dispose]();
  return {
    alive: (pongs / count) * 100,
    ...(times.length < count
      ? {}
      : {
          crowding: crowding(times, 1) * 100,
          firstKeepAlive: percentile(times, 0.001),
          lastKeepAlive: percentile(times, 1),
        }),
  };
}

/** A few at a time, as nobody asks 10,000 clients at once. */
async function pingAll(clients: readonly Client[], answered: () => number): Promise<void> {
  const giveUp = performance.now() + answerWithinMs;
  const ping = encodeFrame(FrameType.ping, Buffer.alloc(8));
  for (const [index, client] of clients.entries()) {
    if (!client.lost) client.stream.write(ping);
    if (index % 100 === 0) await timers.setTimeout(1);
  }
  const expected = (): number => clients.filter(({ lost }) => !lost).length;
  while (answered() < expected() && performance.now() < giveUp) await timers.setTimeout(50);
}
