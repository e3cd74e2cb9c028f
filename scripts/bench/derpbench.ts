/** derpbench's command lines, and what it prints: one JSON value. Pure. */
import type { LoadWork } from "./cases.ts";

/** A value of a run by its name; what figures are taken from. */
export type Values = Readonly<Record<string, number>>;

/** What was measured is worth nothing. The message is a clause for a person. */
export class RunFailed extends Error {
  override readonly name = "RunFailed";
}

/** The relay that is loaded. */
export interface LoadTarget {
  readonly port: number;
  /** Whose CPU time and memory are read. */
  readonly pid: number;
}

export interface LoadTimes {
  /** Seconds before measuring. */
  readonly warmup: number;
  /** Whole seconds measured. */
  readonly time: number;
}

/** Packets of a pair that the generator writes in one call: a burst is larger where the window is. */
const usualBurst = 8;
const largeBurst = 32;

/** `derpbench load`, or with `stalled` receivers that never read beside it. */
export function loadArguments(
  target: LoadTarget,
  { pairs, size, window, rate }: Omit<LoadWork, "kind">,
  times: LoadTimes,
  stalled = 0,
): string[] {
  const burst = rate === undefined ? (window > 32 ? largeBurst : usualBurst) : 1;
  const flags = { pairs, size, window, burst, rate: rate ?? 0, stalled };
  return ["load", ...targetFlags(target), ...timeFlags(times), ...renderFlags(flags)];
}

export function latencyArguments(target: LoadTarget, times: LoadTimes): string[] {
  return ["latency", ...targetFlags(target), ...timeFlags(times), "-size=64"];
}

/** @param hold whole seconds between the last connection and the reading of memory */
export function connectionArguments(target: LoadTarget, count: number, hold: number): string[] {
  return ["conns", ...targetFlags(target), `-n=${count}`, `-hold=${hold}s`];
}

/**
 * Reads the result of `load` and `latency`: `cpuPerPacket` and the times of a round trip in µs, `goodput` in packets/s,
 * `dropped` in percent, `generator` in CPUs.
 *
 * @throws RunFailed if packets came damaged, twice, out of order or from somebody else, or if connections were lost
 */
export function parseLoad(text: string): Values {
  const result = parseObject(text);
  const [bad, lost] = [optionalNumber(result, "bad") ?? 0, optionalNumber(result, "disconnects") ?? 0];
  if (bad > 0) throw new RunFailed(`${bad} packets came damaged, twice or out of order`);
  if (lost > 0) throw new RunFailed(`${lost} connections were lost`);
  const [sent, delivered] = [numberOf(result, "sent"), numberOf(result, "delivered")];
  const values: Record<string, number> = {
    cpuPerPacket: numberOf(result, "server_cpu_us_per_pkt"),
    goodput: numberOf(result, "pps"),
    dropped: sent === 0 ? 0 : (Math.max(0, sent - delivered) / sent) * 100,
    server: numberOf(result, "server_cpu_cores"),
    generator: numberOf(result, "generator_cpu_cores"),
    memory: numberOf(result, "server_rss_mib"),
  };
  const rtt = result["rtt_us"];
  if (isObject(rtt)) Object.assign(values, { rttP50: numberOf(rtt, "p50"), rttP99: numberOf(rtt, "p99") });
  return values;
}

/**
 * Reads the result of `conns`: `cpuPerHandshake` in ms, `perConnection` in KiB, `memory` with all of them in MiB.
 *
 * @throws RunFailed if not every connection answers a ping
 */
export function parseConnections(text: string): Values {
  const result = parseObject(text);
  const [count, alive] = [numberOf(result, "n"), numberOf(result, "alive")];
  if (alive !== count) throw new RunFailed(`only ${alive} of ${count} connections answer`);
  return {
    cpuPerHandshake: numberOf(result, "server_cpu_ms_per_conn"),
    perConnection: numberOf(result, "server_kib_per_conn"),
    handshakes: numberOf(result, "per_second"),
    memory: numberOf(result, "server_rss_after_mib"),
  };
}

/** Reads an object whose members are all numbers, as our own load client prints it. @throws RunFailed */
export function parseValues(text: string): Values {
  const result = parseObject(text);
  return Object.fromEntries(Object.keys(result).map((name) => [name, numberOf(result, name)]));
}

function targetFlags({ port, pid }: LoadTarget): string[] {
  return [`-addr=127.0.0.1:${port}`, `-server-pid=${pid}`];
}

function timeFlags({ warmup, time }: LoadTimes): string[] {
  return [`-warmup=${warmup}s`, `-time=${time}s`];
}

function renderFlags(flags: Readonly<Record<string, number>>): string[] {
  return Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RunFailed("the generator printed no JSON");
  }
  if (!isObject(value)) throw new RunFailed("the generator printed no object");
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(object: Readonly<Record<string, unknown>>, name: string): number {
  const value = optionalNumber(object, name);
  if (value === undefined) throw new RunFailed(`the generator did not print ${name}`);
  return value;
}

function optionalNumber(object: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = object[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
