/** An unmodified Tailscale client that runs beside a test, asked at the socket where its own command line asks it. */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import timers from "node:timers/promises";
import { orGiveUp } from "../relay/client/failure.ts";

/** A packet that is not back by then was lost. */
const answerMs = 2_000;
const everyMs = 50;

export class TailscaleClient {
  readonly #socket: string;

  /** @param socket path of its LocalAPI */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Its address in the tailnet. */
  async address(): Promise<string> {
    const { Self } = JSON.parse(await this.#ask("GET", "status", AbortSignal.timeout(answerMs))) as {
      Self: { TailscaleIPs: [string, ...string[]] };
    };
    return Self.TailscaleIPs[0];
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
        void this.#ping(address, AbortSignal.any([stop.signal, AbortSignal.timeout(answerMs)]))
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

  /** TSMP: within the tunnel, so that the peer has to have decrypted it. */
  async #ping(address: string, signal: AbortSignal): Promise<void> {
    const { Err } = JSON.parse(await this.#ask("POST", `ping?ip=${address}&type=TSMP`, signal)) as {
      Err?: string;
    };
    if (Err !== undefined && Err !== "") throw new Error(Err);
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
