/** In which order what is measured, and for how long. Pure. */
import { KitError } from "../../relay/errors.ts";
import { type Case, cases, type Work } from "./cases.ts";
import { type ServerKind, serverKinds } from "./figures.ts";

/** How long the parts of a run take, in seconds, and how large some cases are. */
export interface Scale {
  /** Loads are not measured at first: a runtime has to compile, TCP to open its windows. */
  readonly warmup: number;
  readonly load: number;
  /** Of cases where queues have to fill, or memory to be taken. */
  readonly slow: number;
  /** Between connecting, or a load, and reading memory. */
  readonly settle: number;
  readonly idle: number;
  /** What counts of connections are divided by. */
  readonly divisor: number;
}

export const fullScale: Scale = { warmup: 2, load: 5, slow: 15, settle: 10, idle: 120, divisor: 1 };

/** To see whether everything works. The figures say little. */
export const quickScale: Scale = { warmup: 1, load: 1, slow: 4, settle: 2, idle: 5, divisor: 10 };

/** One measurement: a case on a relay. */
export interface Run {
  readonly round: number;
  readonly server: ServerKind;
}

/** The runs of a case: the relays in turn, round by round, so that none has the machine's quiet minutes to itself. */
export function planRuns(servers: readonly ServerKind[], rounds: number): Run[] {
  return Array.from({ length: rounds }, (_, index) =>
    servers.map((server) => ({ round: index + 1, server })),
  ).flat();
}

/**
 * Reads `--only`: names of cases or their beginnings, with commas; all cases without it.
 *
 * @throws KitError `usage` for a name that is none
 */
export function chooseCases(only: string | undefined): readonly Case[] {
  if (only === undefined) return cases;
  const wanted = only.split(",");
  const stranger = wanted.find((name) => name === "" || !cases.some((one) => one.name.startsWith(name)));
  if (stranger !== undefined) {
    throw new KitError("usage", {
      message: `derpkit bench: no case is called "${stranger}".`,
      fix: `There are ${cases.map(({ name }) => name).join(", ")}; the beginning of a name stands for all that begin so.`,
    });
  }
  return cases.filter(({ name }) => wanted.some((beginning) => name.startsWith(beginning)));
}

/**
 * Reads `--servers`. They come in the order of the list of kinds, whatever the order here.
 *
 * @throws KitError `usage` for a name that is none
 */
export function chooseServers(servers: string | undefined): readonly ServerKind[] {
  if (servers === undefined) return serverKinds;
  const wanted = servers.split(",");
  const stranger = wanted.find((name) => !serverKinds.some((kind) => kind === name));
  if (stranger !== undefined) {
    throw new KitError("usage", {
      message: `derpkit bench: "${stranger}" is no server.`,
      fix: `There are ${serverKinds.join(", ")}.`,
    });
  }
  return serverKinds.filter((kind) => wanted.includes(kind));
}

/**
 * Reads `--rounds`.
 *
 * @throws KitError `usage` unless it is a whole number from 1 to 99
 */
export function parseRounds(text: string | undefined): number {
  if (text === undefined) return defaultRounds;
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new KitError("usage", {
    message: `derpkit bench: "${text}" rounds cannot be run.`,
    fix: "Give --rounds a whole number from 1 to 99.",
  });
}

export const defaultRounds = 3;

/** About how long one run takes, in seconds, with a relay's start. */
export function estimateRun(work: Work, scale: Scale): number {
  const start = 1;
  const connecting = (count: number): number => count / scale.divisor / 1_000;
  switch (work.kind) {
    case "load":
    case "latency":
      return start + scale.warmup + scale.load;
    case "stalled":
      return start + 2 * connecting(2 * work.receivers) + settleOf(scale) + scale.slow;
    case "connections":
      return start + connecting(work.count) + settleOf(scale);
    case "throttled":
      return start + 2 * scale.slow;
    case "flood":
      return start + scale.warmup + scale.slow + floodEnd;
    case "rest":
      return start + scale.warmup + scale.slow + scale.settle;
    case "mesh":
      return 2 * (start + scale.warmup + scale.load);
    case "idle":
    default:
      return start + 2 * connecting(work.count) + scale.idle;
  }
}

/** Until what derpbench has set up is read, in whole seconds. */
export function settleOf({ settle }: Scale): number {
  return Math.min(settle, 3);
}

/** Seconds after a flood in which what was sent before may still arrive. */
export const floodEnd = 3;
