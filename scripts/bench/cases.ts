/** What is measured, and what is asked of each figure: the one list of cases. Pure. */
import type { Figure, Target } from "./figures.ts";

/** Packets through the relay, from derpbench. */
export interface LoadWork {
  readonly kind: "load";
  readonly pairs: number;
  /** Payload bytes. */
  readonly size: number;
  /** Most packets of a pair in flight. */
  readonly window: number;
  /** Packets a second over all pairs; without it, as many as the window lets. */
  readonly rate?: number;
}

/** What is done to a relay. */
export type Work =
  | LoadWork
  /** derpbench's ping-pong pairs alone. */
  | { readonly kind: "latency" }
  /** derpbench sets connections up and leaves them idle. */
  | { readonly kind: "connections"; readonly count: number }
  /** derpbench sends to receivers that never read. */
  | { readonly kind: "stalled"; readonly receivers: number; readonly size: number }
  /** One sender, and a receiver that gets less than it is sent, by its link or by reading slowly. Bytes a second. */
  | {
      readonly kind: "throttled";
      readonly by: "link" | "reading";
      readonly size: number;
      readonly sentPerSecond: number;
      readonly receivedPerSecond: number;
    }
  /** One receiver, one who floods it, and one who sends it a few packets. */
  | {
      readonly kind: "flood";
      readonly size: number;
      readonly floodPerSecond: number;
      readonly packetsPerSecond: number;
      readonly readPerSecond: number;
    }
  /** Memory that stays after a load, with idle connections of so many pairs. */
  | { readonly kind: "rest"; readonly load: LoadWork }
  /** Pairs at a fixed pace, first on one relay, then each across two relays of a mesh. */
  | {
      readonly kind: "mesh";
      readonly pairs: number;
      readonly size: number;
      /** Over all pairs. */
      readonly packetsPerSecond: number;
    }
  /** Idle connections of our own client, and a ping at short intervals. */
  | { readonly kind: "idle"; readonly count: number; readonly pingEveryMs: number };

export interface Case {
  /** For `--only`. */
  readonly name: string;
  /** For a row of the table. */
  readonly title: string;
  readonly work: Work;
  /** True for a relay started anew for each run: a runtime keeps memory that an earlier run made it take. */
  readonly fresh: boolean;
  readonly figures: readonly Figure[];
}

const times = (least: number): Target => ({ kind: "times", least });
const atMost = (most: number): Target => ({ kind: "at-most", most });
const under = (limit: number): Target => ({ kind: "under", limit });
const exactly = (value: number): Target => ({ kind: "exactly", value });

type Asked = Figure["target"];

const cpuPerPacket = (asked?: Asked): Figure =>
  ask(asked, {
    value: "cpuPerPacket",
    label: "CPU per packet",
    unit: "µs",
    better: "less",
  });
const goodput = (asked?: Asked): Figure =>
  ask(asked, {
    value: "goodput",
    label: "goodput",
    unit: "packets/s",
    better: "more",
  });
const dropped = (asked?: Asked): Figure =>
  ask(asked, {
    value: "dropped",
    label: "dropped",
    unit: "%",
    better: "less",
  });

/** Saturated by pairs, each with derper's own depth of queue in flight, so that nobody need drop anything. */
const saturated = (name: string, pairs: number, size: number, asked: Asked): Case => ({
  name,
  title: `${pairs} ${pairs === 1 ? "pair" : "pairs"} × ${size} B`,
  work: { kind: "load", pairs, size, window: 32 },
  fresh: false,
  figures: [cpuPerPacket(asked), goodput(), dropped()],
});
const manyPairs = { bun: times(2.5), node: times(1.6) };

/** Bursts beyond derper's queue of 32 packets. */
const burst = (window: number): Case => ({
  name: `goodput-${window}`,
  title: `10 pairs × 1280 B, window ${window}`,
  work: { kind: "load", pairs: 10, size: 1_280, window },
  fresh: false,
  figures: [goodput(times(4)), dropped(exactly(0)), cpuPerPacket()],
});

const large = (size: number): Case => ({
  name: `large-${size / 1_024}k`,
  title: `10 pairs × ${size / 1_024} KiB`,
  work: { kind: "load", pairs: 10, size, window: 32 },
  fresh: false,
  figures: [cpuPerPacket(times(1.3)), dropped(exactly(0)), goodput()],
});

const mebibyte = 1_048_576;

const throttled = (name: string, by: "link" | "reading", title: string, asked?: Asked): Case => ({
  name,
  title,
  work: { kind: "throttled", by, size: 1_280, sentPerSecond: 4 * mebibyte, receivedPerSecond: mebibyte },
  fresh: true,
  figures: [
    ask(asked, { value: "ageP99", label: "age of delivered packets p99", unit: "s", better: "less" }),
    { value: "growth", label: "memory growth", unit: "MiB", better: "less", target: atMost(4) },
  ],
});

export const cases: readonly Case[] = [
  saturated("cpu-10x64", 10, 64, manyPairs),
  saturated("cpu-10x1280", 10, 1_280, manyPairs),
  saturated("cpu-50x64", 50, 64, manyPairs),
  saturated("cpu-50x1280", 50, 1_280, manyPairs),
  saturated("cpu-1x1280", 1, 1_280, times(1.7)),
  {
    name: "paced",
    title: "10 pairs × 1280 B, 10,000 packets/s in all",
    work: { kind: "load", pairs: 10, size: 1_280, window: 32, rate: 10_000 },
    fresh: false,
    figures: [cpuPerPacket({ bun: times(1.3), node: times(1.1) }), dropped()],
  },
  burst(128),
  burst(512),
  large(16_384),
  large(65_536),
  {
    name: "latency",
    title: "4 ping-pong pairs × 64 B, light load",
    work: { kind: "latency" },
    fresh: false,
    figures: [
      { value: "rttP50", label: "round trip p50", unit: "µs", better: "less", target: times(1 / 1.05) },
      { value: "rttP99", label: "round trip p99", unit: "µs", better: "less" },
    ],
  },
  {
    name: "flood",
    title: "A flooder of 25,000 packets/s and a sender of 100, one receiver at 8 MiB/s",
    work: {
      kind: "flood",
      size: 1_280,
      floodPerSecond: 25_000,
      packetsPerSecond: 100,
      readPerSecond: 8 * mebibyte,
    },
    fresh: false,
    figures: [
      { value: "lost", label: "lost of the 100 packets/s", unit: "%", better: "less", target: under(1) },
      { value: "floodSent", label: "flood", unit: "packets/s", better: "more" },
    ],
  },
  throttled("throttled", "link", "A sender of 4 MiB/s, its receiver on a link of 1 MiB/s", atMost(1.1)),
  // How old packets are is here a matter of the kernel's buffers, of which a relay has no say.
  throttled("slow-reader", "reading", "A sender of 4 MiB/s, its receiver reads 1 MiB/s"),
  {
    name: "stalled",
    title: "500 receivers that never read",
    work: { kind: "stalled", receivers: 500, size: 1_280 },
    fresh: true,
    figures: [
      { value: "growth", label: "memory growth", unit: "MiB", better: "less", target: atMost(128) },
      { value: "peak", label: "memory, most", unit: "MiB", better: "less" },
    ],
  },
  {
    name: "connections",
    title: "5,000 connections",
    work: { kind: "connections", count: 5_000 },
    fresh: true,
    figures: [
      {
        value: "cpuPerHandshake",
        label: "CPU per handshake",
        unit: "ms",
        better: "less",
        target: { bun: times(1.2), node: times(0.7) },
      },
      {
        value: "perConnection",
        label: "memory per idle connection",
        unit: "KiB",
        better: "less",
        target: { bun: times(4), node: times(1.1) },
      },
    ],
  },
  {
    name: "rest",
    title: "50 pairs, at rest after load",
    work: { kind: "rest", load: { kind: "load", pairs: 50, size: 1_280, window: 32 } },
    fresh: true,
    figures: [
      { value: "resident", label: "resident memory", unit: "MiB", better: "less", target: under(100) },
      { value: "peak", label: "memory under load, most", unit: "MiB", better: "less" },
    ],
  },
  {
    name: "mesh",
    title: "10 pairs × 1280 B, 10,000 packets/s, on one relay and across two of a mesh",
    work: { kind: "mesh", pairs: 10, size: 1_280, packetsPerSecond: 10_000 },
    fresh: false,
    figures: [
      { value: "oneRelay", label: "CPU per packet, one relay", unit: "µs", better: "less" },
      { value: "twoRelays", label: "CPU per packet, both relays together", unit: "µs", better: "less" },
    ],
  },
  {
    name: "idle",
    title: "10,000 idle connections for 2 minutes",
    work: { kind: "idle", count: 10_000, pingEveryMs: 20 },
    fresh: true,
    figures: [
      { value: "alive", label: "alive", unit: "%", better: "more", target: exactly(100) },
      {
        value: "crowding",
        label: "KeepAlives in the fullest second of their spread",
        unit: "%",
        better: "less",
        // Spread evenly over 5 s they are 20 %; not spread, all.
        target: atMost(33),
      },
      {
        value: "pingP99",
        label: "round trip of a ping each 20 ms, p99",
        unit: "ms",
        better: "less",
        target: under(50),
      },
    ],
  },
];

/** Connections that derpbench holds besides, at most, with the relay's own. */
const otherFiles = 500;

/** Open files that a case needs, of the relay and of who loads it alike. */
export function openFilesOf({ work }: Case): number {
  switch (work.kind) {
    case "connections":
    case "idle":
      return work.count + otherFiles;
    case "stalled":
      return 2 * work.receivers + otherFiles;
    case "load":
    case "latency":
    case "throttled":
    case "flood":
    case "rest":
    case "mesh":
    default:
      return otherFiles;
  }
}

function ask(target: Asked, figure: Figure): Figure {
  return target === undefined ? figure : { ...figure, target };
}
