/** The HTTP answers that clients, browsers and monitoring ask a relay for. */
import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { CannotTest, CheckFailed, type Seen } from "../check.ts";
import { get, parsePage } from "../http-get.ts";
import type { TlsSeen } from "./tls.ts";

/** What browsers measure latency with; without the header they may not see the answer. */
export async function checkProbe({ route }: TlsSeen, signal: AbortSignal): Promise<Seen> {
  const { status, headers, body } = await get(route, "/derp/probe", {}, signal);
  requireStatus(status, 200);
  if (headers["access-control-allow-origin"] !== "*") {
    throw new CheckFailed("no Access-Control-Allow-Origin: *");
  }
  if (body.length > 0) throw new CheckFailed(`a body of ${body.length} bytes, where none belongs`);
  return { detail: "200, open to browsers" };
}

/** What native clients measure latency with where UDP is blocked. */
export async function checkLatencyCheck({ route }: TlsSeen, signal: AbortSignal): Promise<Seen> {
  const { status } = await get(route, "/derp/latency-check", {}, signal);
  requireStatus(status, 200);
  return { detail: "200" };
}

/** The captive-portal check: only a relay echoes the challenge. */
export async function checkGenerate204({ route }: TlsSeen, signal: AbortSignal): Promise<Seen> {
  const challenge = `ts_${randomBytes(8).toString("hex")}`;
  const { status, headers } = await get(
    route,
    "/generate_204",
    { "X-Tailscale-Challenge": challenge },
    signal,
  );
  requireStatus(status, 204);
  if (headers["x-tailscale-response"] !== `response ${challenge}`) {
    throw new CheckFailed("204 without the right X-Tailscale-Response");
  }
  return { detail: "204, the challenge answered" };
}

/** What a node has to run, as far as somebody knows. */
export interface ExpectedRelease {
  /** SHA-256 of the relay's file, 64 lower-case hex digits. */
  readonly bundle?: string | undefined;
  /** The release that its updater has to have taken, or a later one. */
  readonly sequence?: number | undefined;
  /** The same of the secrets that are sealed to it. */
  readonly secrets?: number | undefined;
}

/** Our own relay's health. Other relays have no such page, which matters only where something is expected of it. */
export async function checkHealth(
  { route }: Pick<TlsSeen, "route">,
  expected: ExpectedRelease,
  signal: AbortSignal,
): Promise<Seen> {
  const { bundle, sequence, secrets } = expected;
  const { status, body } = await get(route, "/healthz", {}, signal);
  // Something else is for example the home page that derper serves on every path.
  const health = parsePage(healthSchema, body);
  if (health === undefined && bundle === undefined && sequence === undefined) {
    throw new CannotTest("this relay has no /healthz; derper has none either");
  }
  if (health === undefined) throw new CheckFailed("this relay has no /healthz to tell its bundle");
  if (status !== 200 || !health.ok) {
    const { state, failing = [] } = health;
    const named = failing.length === 0 ? "" : ` (failing: ${failing.join(", ")})`;
    throw new CheckFailed(`HTTP status ${status}, state ${state}${named}`);
  }
  if (bundle !== undefined && health.bundle !== bundle) {
    throw new CheckFailed(`the bundle is ${health.bundle ?? "none"}, and ${bundle} is expected`);
  }
  if (sequence !== undefined) requireRelease(health.updater, sequence);
  if (secrets !== undefined) requireSecrets(health.updater, secrets);
  const which = bundle === undefined ? "" : ", the expected bundle";
  return { detail: `${health.state}, version ${health.version}${which}` };
}

/** What an updater has accepted and does not run is no release that the node has. */
function requireRelease(updater: Health["updater"], wanted: number): void {
  const { state, sequence, code } = updater ?? { state: "unknown", sequence: null, code: null };
  if (sequence !== null && sequence >= wanted && state === "current") return;
  const why = code === null ? "" : ` (${code})`;
  throw new CheckFailed(
    `the updater is at release ${sequence ?? "none"}, ${state}${why}, and ${wanted} is expected`,
  );
}

function requireSecrets(updater: Health["updater"], wanted: number): void {
  const { secrets, code } = updater ?? { secrets: null, code: null };
  if (secrets !== null && secrets >= wanted) return;
  const why = code === null ? "" : ` (${code})`;
  throw new CheckFailed(`its secrets are those of ${secrets ?? "nobody"}${why}, and ${wanted} is expected`);
}

function requireStatus(status: number, wanted: number): void {
  if (status !== wanted) throw new CheckFailed(`HTTP status ${status}, not ${wanted}`);
}

const healthSchema = v.object({
  ok: v.boolean(),
  version: v.string(),
  /** Null where the relay runs from its sources. */
  bundle: v.nullable(v.string()),
  state: v.string(),
  /** Of a relay that is unhealthy, the probes of itself that fail. */
  failing: v.optional(v.array(v.string())),
  /** What the node's updater says of itself. */
  updater: v.optional(
    v.object({
      state: v.string(),
      sequence: v.nullable(v.number()),
      secrets: v.optional(v.nullable(v.number()), null),
      code: v.nullable(v.string()),
    }),
  ),
});

type Health = v.InferOutput<typeof healthSchema>;
