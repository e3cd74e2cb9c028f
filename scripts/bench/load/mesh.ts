/** What a packet costs if sender and receiver are on one relay, and what if each is on another relay of the region. */
import { readFile } from "node:fs/promises";
import timers from "node:timers/promises";
import type { NodeKey } from "../../../relay/crypto/keys.ts";
import { statField } from "../../../relay/process-stat.ts";
import { encodeSendPacket } from "../../../relay/protocol/writer.ts";
import { RunFailed, type Values } from "../derpbench.ts";
import { type Client, createConnect, type Target } from "./client.ts";
import { pace } from "./pace.ts";

export interface MeshTask {
  readonly task: "mesh";
  /** Relays of one region. */
  readonly targets: readonly [Target, Target];
  readonly pairs: number;
  readonly size: number;
  /** Over all pairs. */
  readonly packetsPerSecond: number;
  readonly warmup: number;
  readonly seconds: number;
}

/** Linux counts a process' time in hundredths of a second, whatever its clock. */
const microsecondsPerTick = 10_000;
/** For the mesh to find itself, and for each relay to learn who is at the other. */
const reachableWithinMs = 30_000;

/** In microseconds of CPU a packet, all relays together. */
export async function loadMesh(task: MeshTask): Promise<Values> {
  const [one, two] = task.targets;
  return {
    oneRelay: await costOfPacket(one, one, task),
    twoRelays: await costOfPacket(one, two, task),
  };
}

/** Senders are on one relay, receivers on the other. */
async function costOfPacket(senders: Target, receivers: Target, task: MeshTask): Promise<number> {
  const { pairs, size, packetsPerSecond, warmup, seconds } = task;
  let arrived = 0;
  const [connectSender, connectReceiver] = [createConnect(senders), createConnect(receivers)];
  using clients = new DisposableStack();
  const streams: [Client, NodeKey][] = [];
  for (let index = 0; index < pairs; index++) {
    const sender = clients.use(await connectSender(() => {}));
    const receiver = clients.use(await connectReceiver(({ type }) => void (type === "packet" && arrived++)));
    await untilReachable(sender, receiver.key, () => arrived);
    streams.push([sender, receiver.key]);
  }
  const packet = Buffer.alloc(size);
  const send = (index: number): void => {
    const [sender, key] = streams[index % pairs] as [Client, NodeKey];
    sender.stream.write(encodeSendPacket(key, packet));
  };
  await pace(packetsPerSecond, warmup, send);
  const relays = new Set([senders.pid, receivers.pid]);
  const [before, arrivedBefore] = [await cpuTime(relays), arrived];
  const sent = await pace(packetsPerSecond, seconds, send);
  const [used, delivered] = [(await cpuTime(relays)) - before, arrived - arrivedBefore];
  if (delivered < sent * 0.99) throw new RunFailed(`of ${sent} packets ${delivered} arrived`);
  return used / delivered;
}

/** Sends until something arrives. */
async function untilReachable(sender: Client, key: NodeKey, arrived: () => number): Promise<void> {
  const giveUp = performance.now() + reachableWithinMs;
  const before = arrived();
  while (arrived() === before) {
    if (performance.now() > giveUp) throw new RunFailed("the receiver cannot be reached");
    sender.stream.write(encodeSendPacket(key, Buffer.alloc(1)));
    await timers.setTimeout(50);
  }
}

/** What processes have used, in microseconds. */
async function cpuTime(pids: ReadonlySet<number>): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    const [user, system] = [statField(stat, 14), statField(stat, 15)];
    if (user === undefined || system === undefined) throw new RunFailed("the relay has ended");
    ticks += Number(user) + Number(system);
  }
  return ticks * microsecondsPerTick;
}
