/** All checks of one node, and which of them builds on which. */
import type { SecureContext } from "node:tls";
import { StunSilence } from "../../relay/client/stun.ts";
import type { DerpNode } from "../../infra/derpmap/derp-map.ts";
import {
  CannotTest,
  checkNames,
  type CheckResult,
  createRunner,
  type Outcome,
  type RunCheck,
  type Seen,
} from "./check.ts";
import {
  checkGenerate204,
  checkHealth,
  checkLatencyCheck,
  checkProbe,
  type ExpectedRelease,
} from "./checks/http.ts";
import { checkFastStart, checkLogin, checkServerKey, type LoginSeen } from "./checks/login.ts";
import { checkPackets, checkPing } from "./checks/packets.ts";
import { checkStun } from "./checks/stun.ts";
import { checkMetaCertificate, checkTls, type TlsSeen } from "./checks/tls.ts";
import { checkTransportSecrecy } from "./checks/transport-secrecy.ts";
import type { Detour } from "./detour.ts";
import { clientsOver } from "./probe-client.ts";
import { reach } from "./reach.ts";
import { type Family, listAddresses, type Target } from "./target.ts";

export interface NodeResult {
  readonly name: string;
  /** The region's code. */
  readonly region: string;
  readonly checks: readonly CheckResult[];
}

export interface NodeOptions {
  readonly trust: SecureContext;
  readonly timeoutMs: number;
  readonly detours: readonly Detour[];
  readonly expected: ExpectedRelease;
  /** True if the relay is meant to let in only those it knows. */
  readonly isClosed: boolean;
  readonly signal: AbortSignal;
  readonly onResult: (result: CheckResult) => void;
}

export interface NodeReport {
  readonly result: NodeResult;
  /** Families in which STUN did not answer at all. */
  readonly silent: readonly Family[];
}

type Place = ReturnType<typeof listAddresses>[number];

/** What the first checks build on. */
const nothing: Outcome<Seen> = { status: "passed", seen: { detail: "" } };
/** What the others build on where there are no first ones. */
const noAddress = { status: "failed", cause: "the map gives this node no address of either family" } as const;

/**
 * Checks a node: TLS, login and STUN over each of its families, everything else once; of a STUN-only node, STUN alone.
 * What builds on a failed check is not tried, and all else runs at the same time: a node that falls silent costs three
 * deadlines at most.
 */
export async function verifyNode(target: Target, options: NodeOptions): Promise<NodeReport> {
  const { node, region } = target;
  const checks: CheckResult[] = [];
  const silent: Family[] = [];
  const run = createRunner({
    ...options,
    report: (result) => {
      checks.push(result);
      options.onResult(result);
    },
  });
  const places = listAddresses(node);
  await Promise.all([
    ...(node.STUNOnly === true ? [] : [runTcp(run, node, places, options)]),
    ...places.map((place) => runStun(run, node, place, options, silent)),
  ]);
  checks.sort((a, b) => checkNames.indexOf(a.name) - checkNames.indexOf(b.name));
  return { result: { name: node.Name, region, checks }, silent };
}

async function runTcp(
  run: RunCheck,
  node: DerpNode,
  places: readonly Place[],
  options: NodeOptions,
): Promise<void> {
  const reached = await Promise.all(places.map((place) => runTls(run, node, place, options)));
  const loggingIn = places.map(({ family }, index) =>
    run(`derp-login-${family}`, reached[index] ?? noAddress, (seen, signal) =>
      checkLogin(seen, options.isClosed, signal),
    ),
  );
  await Promise.all([
    runOverTls(run, choose(reached), options),
    Promise.all(loggingIn).then((logins) => runOverDerp(run, logins)),
  ]);
}

function runTls(
  run: RunCheck,
  { HostName: hostName, CertName: certName, DERPPort: port }: DerpNode,
  { family, address }: Place,
  { detours, trust }: NodeOptions,
): Promise<Outcome<TlsSeen>> {
  return run(`tls-${family}`, nothing, async (_, signal) => {
    const endpoint = await reach({ family, address, hostName, port }, detours, signal);
    return await checkTls({ endpoint, identity: { hostName, certName }, trust }, signal);
  });
}

async function runStun(
  run: RunCheck,
  { HostName: hostName, STUNPort: port }: DerpNode,
  { family, address }: Place,
  { detours }: NodeOptions,
  silent: Family[],
): Promise<void> {
  await run(`stun-${family}`, nothing, async (_, signal) => {
    if (port < 0) throw new CannotTest("the map says that this node has no STUN");
    try {
      return await checkStun(await reach({ family, address, hostName, port }, detours, signal), signal);
    } catch (error) {
      if (error instanceof StunSilence) silent.push(family);
      throw error;
    }
  });
}

async function runOverTls(
  run: RunCheck,
  tls: Outcome<TlsSeen>,
  { expected, isClosed }: NodeOptions,
): Promise<void> {
  await Promise.all([
    run("meta-certificate", tls, checkMetaCertificate),
    run("fast-start", tls, (seen, signal) => checkFastStart(seen, isClosed, signal)),
    run("http-probe", tls, checkProbe),
    run("http-latency-check", tls, checkLatencyCheck),
    run("http-generate-204", tls, checkGenerate204),
    run("healthz", tls, (seen, signal) => checkHealth(seen, expected, signal)),
  ]);
}

/** Packets go from one family to the other where both have let us in. */
async function runOverDerp(run: RunCheck, outcomes: readonly Outcome<LoginSeen>[]): Promise<void> {
  const login = choose(outcomes);
  const logins = outcomes.flatMap((outcome) => (outcome.status === "passed" ? [outcome.seen] : []));
  await Promise.all([
    run("server-key", login, ({ facts }) => checkServerKey(facts.serverKey, logins)),
    run("packet", login, ({ route }, signal) =>
      checkPackets(clientsOver(route), clientsOver(logins.at(-1)?.route ?? route), signal),
    ),
    run("transport-secrecy", login, ({ route }, signal) => checkTransportSecrecy(clientsOver(route), signal)),
    run("ping", login, ({ route }, signal) => checkPing(clientsOver(route), signal)),
  ]);
}

/** The family over which everything else is checked: the first that works, or else the one that says most. */
function choose<T extends Seen>(outcomes: readonly Outcome<T>[]): Outcome<T> {
  return (
    outcomes.find(({ status }) => status === "passed") ??
    outcomes.find(({ status }) => status === "failed") ??
    outcomes[0] ??
    noAddress
  );
}
