/** Asks the tailscaled of this machine, as derper's `-verify-clients` does: it knows the nodes that it may see. */
import http from "node:http";
import { type NodeKey, parseNodeKey, renderNodeKey, renderShortKey } from "../crypto/keys.ts";
import { describeFailure } from "../outbound/failure.ts";
import { type HttpReply, sendRequest, withDeadline } from "../outbound/http.ts";
import type { AdmissionMode, Applicant } from "./mode.ts";
import { allow, deny, type Unknown, unknown, type Verdict } from "./verdict.ts";

/** Both requests of a question together (derper's limit for its check), within the 10 s that a login may take. */
const timeLimitMs = 5_000;
/** Answers are some KiB; only the status is parsed. */
const maxBytes = 1_048_576;
const maxSockets = 16;

const headers = {
  // LocalAPI answers to this name only.
  Host: "local-tailscaled.sock",
  // Tailscale's capability version, here 1.102's: derper sends its own, and tailscaled does not look at it.
  "Tailscale-Cap": "142",
};

/** Where tailscaled listens unless it is told otherwise. */
export function defaultTailscaledSocket(platform: NodeJS.Platform): string {
  return platform === "darwin" ? "/var/run/tailscaled.socket" : "/var/run/tailscale/tailscaled.sock";
}

export class LocalTailscaled implements AdmissionMode {
  readonly name = "tailscaled";
  readonly #socketPath: string;
  readonly #agent = new http.Agent({ maxSockets });

  /** @param socketPath tailscaled's unix socket; the relay's user has to be allowed to read from it */
  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async check({ key }: Applicant, signal: AbortSignal): Promise<Verdict> {
    return withDeadline(
      timeLimitMs,
      signal,
      async (limit) => (await this.#whois(key, limit)) ?? this.#judgeStranger(limit),
    );
  }

  /** Asks for a node that has to be known, its own, as derper's `ConsistencyCheck` does. */
  async findProblem(signal: AbortSignal): Promise<string | undefined> {
    try {
      return await withDeadline(timeLimitMs, signal, (limit) => this.#lookForItself(limit));
    } catch (error) {
      return `tailscaled cannot be asked: ${describeFailure(error)}`;
    }
  }

  async #lookForItself(signal: AbortSignal): Promise<string | undefined> {
    const status = await this.#status(signal);
    if (status.kind === "unknown") return status.reason;
    if (status.ownKey === undefined) return "tailscaled does not tell its own node key";
    const verdict = await this.#whois(status.ownKey, signal);
    if (verdict === undefined) return describeOblivion(status.ownKey);
    return verdict.kind === "unknown" ? verdict.reason : undefined;
  }

  /** @returns undefined if tailscaled does not know the key */
  async #whois(key: NodeKey, signal: AbortSignal): Promise<Verdict | undefined> {
    const { status, body } = await this.#get(`whois?addr=${encodeURIComponent(renderNodeKey(key))}`, signal);
    if (status === 200) return allow;
    if (status === 404) return undefined;
    const tooOld = String(body).includes("invalid 'addr' parameter");
    return unknown(
      tooOld ? "tailscaled is too old to look up a key" : `tailscaled answers ${status}`,
      "answer",
    );
  }

  /** A tailscaled that starts, is logged out or is down knows nobody and says 404 too. Only one that runs can deny. */
  async #judgeStranger(signal: AbortSignal): Promise<Verdict> {
    const status = await this.#status(signal);
    return status.kind === "running" ? deny("tailscaled does not know the key") : status;
  }

  async #status(signal: AbortSignal): Promise<Running | Unknown> {
    const { status, body } = await this.#get("status?peers=false", signal);
    const { state, ownKey } = status === 200 ? parseStatus(body) : {};
    if (state === "Running") return { kind: "running", ownKey };
    return state === undefined
      ? unknown(`tailscaled does not tell its state: its status is ${status}`, "answer")
      : unknown(`tailscaled is not running: ${state}`, "not_running");
  }

  async #get(path: string, signal: AbortSignal): Promise<HttpReply> {
    const url = new URL(`http://local-tailscaled.sock/localapi/v0/${path}`);
    return sendRequest({
      url,
      method: "GET",
      headers,
      agent: this.#agent,
      socketPath: this.#socketPath,
      maxBytes,
      signal,
    });
  }
}

/** What a tailscaled that runs says of itself. */
interface Running {
  readonly kind: "running";
  readonly ownKey: NodeKey | undefined;
}

function parseStatus(body: Buffer): { readonly state?: string; readonly ownKey?: NodeKey } {
  try {
    const { BackendState: state, Self: self } = JSON.parse(String(body)) as {
      readonly BackendState?: unknown;
      readonly Self?: { readonly PublicKey?: unknown } | null;
    };
    // One of tailscaled's own words, and nothing else, goes to the log.
    if (typeof state !== "string" || !/^[A-Za-z]{1,32}$/.test(state)) return {};
    const ownKey = typeof self?.PublicKey === "string" ? parseNodeKey(self.PublicKey) : undefined;
    return ownKey === undefined ? { state } : { state, ownKey };
  } catch {
    return {};
  }
}

/** Releases around 1.84 know all nodes but their own, which WhoIs has to know (tailscale/tailscale issue 16052). */
function describeOblivion(ownKey: NodeKey): string {
  return (
    `tailscaled does not know its own node ${renderShortKey(ownKey)}, as releases around 1.84 do not ` +
    "(tailscale/tailscale issue 16052): Tailscale on this machine cannot use this relay until tailscaled is updated; " +
    "other nodes are not affected"
  );
}
