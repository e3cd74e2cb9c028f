/** STUN requests one after the other, each sent once, to see how many a relay leaves unanswered meanwhile. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import timers from "node:timers/promises";
import { decodeBindingResponse, encodeBindingRequest, transactionIdLength } from "../relay/stun/message.ts";

const everyMs = 100;
/** An answer that comes later is of no use to anybody. */
const answerWithinMs = 5_000;

export class StunAttempts implements AsyncDisposable {
  sent = 0;
  answered = 0;
  /** Milliseconds. */
  slowest = 0;
  readonly #socket: Socket = createSocket("udp4");
  readonly #stop = new AbortController();
  /** When each request was sent that has no answer yet, by its transaction id in hex. */
  readonly #open = new Map<string, number>();
  readonly #sending: Promise<void>;

  constructor(port: number) {
    this.#socket.on("message", (datagram) => this.#note(datagram));
    this.#sending = this.#send(port);
  }

  /** Sends no more, and waits for the answers that are under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#sending;
    const giveUp = performance.now() + answerWithinMs;
    while (this.#open.size > 0 && performance.now() < giveUp) await timers.setTimeout(everyMs);
    this.#socket.close();
  }

  async #send(port: number): Promise<void> {
    this.#socket.connect(port, "127.0.0.1");
    await once(this.#socket, "connect");
    while (!this.#stop.signal.aborted) {
      const id = randomBytes(transactionIdLength);
      this.#open.set(id.toString("hex"), performance.now());
      this.sent++;
      this.#socket.send(encodeBindingRequest(id));
      await timers.setTimeout(everyMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  #note(datagram: Buffer): void {
    const id = decodeBindingResponse(datagram)?.transactionId.toString("hex");
    const sentAt = id === undefined ? undefined : this.#open.get(id);
    if (id === undefined || sentAt === undefined) return;
    this.#open.delete(id);
    const took = performance.now() - sentAt;
    if (took > answerWithinMs) return;
    this.answered++;
    this.slowest = Math.max(this.slowest, took);
  }
}
