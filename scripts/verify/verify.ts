/** Verifies nodes from here, as Tailscale clients would use them. */
import { RelayFailure } from "../../relay/client/failure.ts";
import { askStun } from "../../relay/client/stun.ts";
import { createTrust } from "../../relay/client/transport.ts";
import { CannotTest, CheckFailed, type CheckResult } from "./check.ts";
import type { ExpectedRelease } from "./checks/http.ts";
import type { Detour, Place } from "./detour.ts";
import { type NodeReport, type NodeResult, verifyNode } from "./node.ts";
import { resolve } from "./reach.ts";
import type { Family, Target } from "./target.ts";

export interface VerifyOptions {
  readonly signal: AbortSignal;
  /** For each single check; default 10 s, as real clients have for the whole set-up. */
  readonly timeoutMs?: number;
  /** Roots to trust besides the system's, PEM. */
  readonly extraRoots?: readonly string[];
  readonly detours?: readonly Detour[];
  /** What a node has to run, by its name; anything by default. */
  readonly expectedOf?: (node: string) => ExpectedRelease;
  /** Codes of the regions whose relays are meant to let in only those they know; none by default. */
  readonly closedRegions?: ReadonlySet<string>;
  /** A STUN server that is known to work. If it is silent as well, it is UDP that does not get through from here. */
  readonly controlStun?: Place;
}

/** Called as each check ends. A silent STUN may be excused later. */
export type OnProgress = (target: Target, check: CheckResult) => void;

export interface Verdict {
  readonly ok: boolean;
  /** Required families that could not be tested, in words. */
  readonly gaps: readonly string[];
}

const defaultTimeoutMs = 10_000;
/** Nodes that are verified at the same time. */
const width = 8;

/**
 * Runs all checks on all nodes. The results are in the order of the targets, whatever ended first.
 *
 * @throws Error of OpenSSL if an extra root is no certificate; nothing that a relay does makes it reject
 */
export async function verifyNodes(
  targets: readonly Target[],
  options: VerifyOptions,
  onProgress: OnProgress = () => {},
): Promise<NodeResult[]> {
  const { signal, timeoutMs = defaultTimeoutMs, detours = [], controlStun } = options;
  const { expectedOf = () => ({}), closedRegions = new Set() } = options;
  const trust = createTrust(options.extraRoots);
  const reports = await mapBounded(targets, (target) =>
    verifyNode(target, {
      trust,
      timeoutMs,
      detours,
      expected: expectedOf(target.node.Name),
      isClosed: closedRegions.has(target.region),
      signal,
      onResult: (check) => onProgress(target, check),
    }),
  );
  if (controlStun === undefined) return reports.map(({ result }) => result);
  return await excuseSilence(reports, controlStun, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
}

/**
 * Good is a fleet without a failed check, of which every node could be tested over every required family.
 *
 * @param required IPv4 unless the caller knows better
 */
export function judge(results: readonly NodeResult[], required: readonly Family[] = ["ipv4"]): Verdict {
  const gaps = results.flatMap(({ name, checks }) => {
    // A STUN-only node has no other checks than STUN's.
    const first = checks.every((check) => check.name.startsWith("stun-")) ? "stun" : "tls";
    return required
      .filter(
        (family) =>
          !checks.some((check) => check.name === `${first}-${family}` && check.status !== "untested"),
      )
      .map((family) => `${name} could not be tested over ${family}, which is required`);
  });
  const failed = results.some(({ checks }) => checks.some(({ status }) => status === "failed"));
  return { ok: !failed && gaps.length === 0 && results.length > 0, gaps };
}

/** Where STUN of every node is silent over a family, and of a control too, nothing is known about the nodes' STUN. */
async function excuseSilence(
  reports: readonly NodeReport[],
  control: Place,
  signal: AbortSignal,
): Promise<NodeResult[]> {
  const suspects = (["ipv4", "ipv6"] as const).filter(
    (family) =>
      reports.some(({ silent }) => silent.includes(family)) &&
      !reports.some(({ result }) => hasPassed(result, `stun-${family}`)),
  );
  const answers = await Promise.all(suspects.map((family) => answersStun(control, family, signal)));
  const blocked = suspects.filter((_, index) => answers[index] === false);
  return reports.map((report) => excuse(report, blocked, control));
}

/** A node that does not answer TCP either is not excused: it is away. */
function excuse({ result, silent }: NodeReport, blocked: readonly Family[], control: Place): NodeResult {
  const excused = new Set<string>(
    blocked
      .filter((family) => silent.includes(family) && hasPassed(result, `tls-${family}`))
      .map((family) => `stun-${family}`),
  );
  const detail = `UDP seems blocked here: neither this node nor ${control.host} port ${control.port} answers`;
  return {
    ...result,
    checks: result.checks.map((check) =>
      excused.has(check.name) ? { ...check, status: "untested", detail } : check,
    ),
  };
}

function hasPassed({ checks }: NodeResult, name: string): boolean {
  return checks.some((check) => check.name === name && check.ok);
}

async function answersStun({ host, port }: Place, family: Family, signal: AbortSignal): Promise<boolean> {
  try {
    await askStun({ address: await resolve(host, family, signal), port }, signal);
    return true;
  } catch (error) {
    if (error instanceof CheckFailed || error instanceof CannotTest || error instanceof RelayFailure) {
      return false;
    }
    throw error;
  }
}

/** Works on all items, on a bounded number of them at a time, and keeps their order. */
async function mapBounded<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
