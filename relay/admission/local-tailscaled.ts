/** Asks the tailscaled of this machine, as derper's `-verify-clients` does: it knows the nodes that it may see. */
import http from "node:http";
import { renderNodeKey } from "../crypto/keys.ts";
import { type HttpReply, sendRequest, withDeadline } from "./http.ts";
import type { AdmissionMode, Applicant } from "./mode.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

/** Both requests together, within the 10 s that a login may take. */
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
    return withDeadline(timeLimitMs, signal, async (limit) => {
      const reply = await this.#get(`whois?addr=${encodeURIComponent(renderNodeKey(key))}`, limit);
      if (reply.status === 200) return allow;
      if (reply.status === 404) return this.#judgeStranger(limit);
      const tooOld = String(reply.body).includes("invalid 'addr' parameter");
      return unknown(
        tooOld ? "tailscaled is too old to look up a key" : `tailscaled answers ${reply.status}`,
        "answer",
      );
    });
  }

  /** A tailscaled that starts, is logged out or is down knows nobody and says 404 too. Only one that runs can deny. */
  async #judgeStranger(signal: AbortSignal): Promise<Verdict> {
    const { status, body } = await this.#get("status?peers=false", signal);
    const state = status === 200 ? parseBackendState(body) : undefined;
    if (state === "Running") return deny("tailscaled does not know the key");
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

function parseBackendState(body: Buffer): string | undefined {
  try {
    const { BackendState: state } = JSON.parse(String(body)) as { BackendState?: unknown };
    // One of tailscaled's own words, and nothing else, goes to the log.
    return typeof state === "string" && /^[A-Za-z]{1,32}$/.test(state) ? state : undefined;
  } catch {
    return undefined;
  }
}
