/** Metrics of a relay, read as a monitoring system reads them. */
import assert from "node:assert/strict";
import timers from "node:timers/promises";
import { ask, get } from "./http.ts";
import { patienceMs } from "./incoming.ts";
import type { RelayUnderTest } from "./relay-under-test.ts";

/** Series, name and labels as written, and their values. */
export type Metrics = ReadonlyMap<string, number>;

const pollMs = 20;

/** @throws AssertionError if the relay has no such page */
export async function readMetrics(relay: Pick<RelayUnderTest, "derpPort" | "hostName">): Promise<Metrics> {
  const { statusLine, body } = await ask(relay, get("/debug/varz"));
  assert.equal(statusLine, "HTTP/1.1 200 OK");
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const metrics = new Map(
    lines.map((line): [string, number] => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
  assert.ok(metrics.has("derp_accepts"), "the page holds no metrics of a relay");
  return metrics;
}

/** Waits until metrics have these values: a relay counts when it has done something, not when others see it. */
export async function metricsBecome(
  relay: RelayUnderTest,
  expected: Readonly<Record<string, number>>,
  withinMs = patienceMs,
): Promise<void> {
  const giveUp = performance.now() + withinMs;
  for (;;) {
    const metrics = await readMetrics(relay);
    const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, metrics.get(name)]));
    const same = Object.entries(expected).every(([name, value]) => seen[name] === value);
    if (same || performance.now() > giveUp) {
      assert.deepEqual(seen, expected);
      return;
    }
    await timers.setTimeout(pollMs);
  }
}
