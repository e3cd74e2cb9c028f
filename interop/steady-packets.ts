/** Packets from one client to another, a few each second, and for how long none came back. */
import timers from "node:timers/promises";
import { eventually } from "./eventually.ts";
import type { TailscaleClient } from "./tailscale-client.ts";

const everyMs = 100;
/** One that is not back by then was lost. */
const answerMs = 5_000;
/** So many one after the other are a path. */
const flow = 10;

export class SteadyPackets implements AsyncDisposable {
  sent = 0;
  /** When answers came, as `performance.now()`. */
  readonly #answers: number[] = [];
  readonly #stop = new AbortController();
  readonly #sending: Promise<void>;

  constructor(from: TailscaleClient, address: string) {
    this.#sending = this.#send(from, address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#sending;
  }

  get answered(): number {
    return this.#answers.length;
  }

  /** Waits until packets come back, and tells the longest time in milliseconds, since `from`, in which none did. */
  async longestSilence(from: number): Promise<number> {
    const enough = this.answered + flow;
    await eventually("packets come back", () => this.answered >= enough);
    const before = this.#answers.findLast((at) => at <= from) ?? from;
    const moments = [before, ...this.#answers.filter((at) => at > from)];
    return Math.max(...moments.slice(1).map((at, index) => at - (moments[index] ?? at)));
  }

  async #send(from: TailscaleClient, address: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.sent++;
      from.ping(address, AbortSignal.any([this.#stop.signal, AbortSignal.timeout(answerMs)])).then(
        () => void this.#answers.push(performance.now()),
        () => {}, // Lost: the silence tells.
      );
      await timers.setTimeout(everyMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }
}
