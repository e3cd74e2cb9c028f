/**
 * `tailnet-check` brings up tailnets of unmodified Tailscale clients whose only relays are those of a derpMap, and prints
 * a line for each thing that it has found to be so or not.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { tailscalePrograms } from "../scripts/conformance/programs.ts";

/** A program that comes with `tailnet-check`, derper for example. */
export function tailnetProgram(name: string): string {
  return path.join(tailscalePrograms, name);
}

/** Why there is no `tailnet-check` on this machine; false if there is one. */
export const whyNoTailnetCheck =
  !existsSync(tailnetProgram("tailnet-check")) &&
  "there is no tailnet-check: DERPKIT_TAILNET_CHECK does not name its folder";

/** Checks that not every user can make. */
const needRoot = new Set(["udp-blocked", "netcheck-cli"]);

/** Checks that fail now and then whatever the relay does: each is tried once more, and the output says so. */
const moody: Readonly<Record<string, string>> = {
  "upgrade-direct":
    "clients on one machine may have found each other before their first bytes went by the relay",
};

const isMoody = (name: string): boolean => name in moody;

/**
 * Runs checks against the relays of a derpMap. All have to pass; what cannot be checked on this machine counts as failed,
 * except what needs root, which is left out and told.
 *
 * @param derpMap file with the map
 * @param checks by name; those that end a relay come last whatever the order here
 * @param args further flags
 * @param env variables that it gets besides those of this process
 */
export async function passTailnetChecks(
  t: TestContext,
  derpMap: string,
  checks: readonly string[],
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const possible = checks.filter((name) => process.getuid?.() === 0 || !needRoot.has(name));
  for (const name of checks) if (!possible.includes(name)) t.diagnostic(`${name} left out: it needs root`);
  const flags = ["-derpmap", derpMap, "-no-skip", ...args];
  const runs: Run[] = [];
  const run = async (names: readonly string[]): Promise<Run> => {
    const done = await runTailnetCheck(t, [...flags, "-only", names.join(",")], env);
    for (const line of done.output.trimEnd().split("\n")) t.diagnostic(line);
    runs.push(done);
    return done;
  };
  // These first: among the others are some that end a relay for good.
  for (const name of possible.filter(isMoody)) {
    const { outcomes } = await run([name]);
    if (outcomes.get(name) === "PASS") continue;
    t.diagnostic(`${name} failed and is tried once more: ${moody[name]}`);
    await run([name]);
  }
  const others = possible.filter((name) => !isMoody(name));
  if (others.length > 0) await run(others);
  const outcomes = new Map(runs.flatMap((done) => [...done.outcomes]));
  assert.deepEqual(
    possible.filter((name) => outcomes.get(name) === "PASS"),
    possible,
    runs.map(({ output, errors }) => output + errors).join("\n"),
  );
}

/** Every check that this `tailnet-check` knows. */
export async function listTailnetChecks(t: TestContext): Promise<string[]> {
  const { output } = await runTailnetCheck(t, ["-list"]);
  return output.split("\n").flatMap((line) => line.split(" ")[0] || []);
}

interface Run {
  /** `PASS` or `FAIL` by the check's name. */
  readonly outcomes: ReadonlyMap<string, string>;
  readonly output: string;
  readonly errors: string;
}

/** It ends with the test, and its clients end with it. */
async function runTailnetCheck(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const check = spawn(tailnetProgram("tailnet-check"), args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    signal: t.signal,
  });
  const [output, errors] = await Promise.all([text(check.stdout), text(check.stderr), once(check, "close")]);
  const found = output.matchAll(/^(PASS|FAIL) +(\S+)/gm);
  const outcomes = new Map(Array.from(found, ([, status = "", name = ""]) => [name, status]));
  return { outcomes, output, errors };
}
