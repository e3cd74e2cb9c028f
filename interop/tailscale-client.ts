/** An unmodified Tailscale client that runs beside a test, asked at the socket where its own command line asks it. */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import timers from "node:timers/promises";
import type { DerpMap } from "../infra/derpmap/derp-map.ts";
import { orGiveUp } from "../relay/client/failure.ts";

/** A packet that is not back by then was lost. */
const answerMs = 2_000;
const everyMs = 50;
/** It looks at names and at ports that are not there, and waits for each. */
const regionMs = 60_000;

interface Status {
  readonly Self: { readonly TailscaleIPs: [string, ...string[]]; readonly Relay: string };
}

export class TailscaleClient {
  readonly #socket: string;

  /** @param socket path of its LocalAPI */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Its address in the tailnet. */
  async address(): Promise<string> {
    return (await this.#status()).Self.TailscaleIPs[0];
  }

  /** The code of the region that is its home; empty as long as it has none. */
  async home(): Promise<string> {
    return (await this.#status()).Self.Relay;
  }

  /** As it has it from its control server. */
  async derpMap(): Promise<DerpMap> {
    return JSON.parse(await this.#ask("GET", "derpmap", AbortSignal.timeout(answerMs))) as DerpMap;
  }

  /** What it finds out about a region, as `tailscale debug derp` does. @param code of the region */
  async debugRegion(code: string): Promise<{ readonly Info: readonly string[] | null }> {
    const what = `debug-derp-region?region=${encodeURIComponent(code)}`;
    return JSON.parse(await this.#ask("POST", what, AbortSignal.timeout(regionMs))) as { Info: string[] };
  }

  /** Bytes that it has sent and received, by their way: `derp`, `direct_ipv4` and others. */
  async bytesByPath(): Promise<ReadonlyMap<string, number>> {
    const metrics = await this.#ask("GET", "usermetrics", AbortSignal.timeout(answerMs));
    const sums = new Map<string, number>();
    for (const [, path = "", count] of metrics.matchAll(
      /^tailscaled_(?:in|out)bound_bytes_total\{path="(\w+)"\} (\S+)$/gm,
    )) {
      sums.set(path, (sums.get(path) ?? 0) + Number(count));
    }
    return sums;
  }

  /**
   * Sends a packet through the tailnet every few milliseconds until one comes back.
   *
   * @returns when it came, as `performance.now()`
   * @throws RelayFailure if none does before the signal aborts
   */
  async hearsFrom(peer: TailscaleClient, signal: AbortSignal): Promise<number> {
    const address = await peer.address();
    const heard = Promise.withResolvers<number>();
    const stop = new AbortController();
    const ask = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        void this.ping(address, AbortSignal.any([stop.signal, AbortSignal.timeout(answerMs)]))
          .then(() => heard.resolve(performance.now()))
          .catch(() => {});
        await timers.setTimeout(everyMs);
      }
    };
    void ask();
    try {
      return await orGiveUp(heard.promise, signal, () => `a packet of ${address}`);
    } finally {
      stop.abort();
    }
  }

  /**
   * Sends one packet and waits for its answer. TSMP: within the tunnel, so that the peer has to have decrypted it.
   *
   * @throws Error if there is none
   */
  async ping(address: string, signal: AbortSignal): Promise<void> {
    const { Err } = JSON.parse(await this.#ask("POST", `ping?ip=${address}&type=TSMP`, signal)) as {
      Err?: string;
    };
    if (Err !== undefined && Err !== "") throw new Error(Err);
  }

  async #status(): Promise<Status> {
    return JSON.parse(await this.#ask("GET", "status", AbortSignal.timeout(answerMs))) as Status;
  }

  #ask(method: string, what: string, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          socketPath: this.#socket,
          method,
          path: `/localapi/v0/${what}`,
          headers: { Host: "local-tailscaled.sock" },
          signal,
        },
        (answer) => void text(answer).then(resolve, reject),
      );
      asked.on("error", reject).end();
    });
  }
}
