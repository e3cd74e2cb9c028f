/** Bytes that a relay sends, taken as they are wanted. */
import type { Duplex } from "node:stream";
import { orGiveUp } from "../../relay/client/failure.ts";

/** Whoever waits longer than this for something that has to come fails. Nothing is ever proven by waiting. */
export const patienceMs = 5_000;

/** The relay closed the connection while more was wanted. */
export class Ended extends Error {
  override readonly name = "Ended";
}

export class Incoming {
  readonly #stream: Duplex;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  /** Resolved and replaced whenever one of the above changes. */
  #change = Promise.withResolvers<void>();

  constructor(stream: Duplex) {
    this.#stream = stream;
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    stream.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    stream.on("end", end).on("close", end).on("error", end);
  }

  /** The next bytes. @throws Ended */
  async take(length: number, what = `${length} bytes`): Promise<Buffer> {
    await this.#until(() => this.#bytes.length >= length, what);
    return this.#cut(length);
  }

  /** All up to and with a delimiter. @throws Ended */
  async takeThrough(delimiter: string): Promise<Buffer> {
    await this.#until(() => this.#bytes.includes(delimiter), JSON.stringify(delimiter));
    return this.#cut(this.#bytes.indexOf(delimiter) + delimiter.length);
  }

  /** All that still comes, when the connection has ended. */
  async takeRest(timeoutMs = patienceMs): Promise<Buffer> {
    while (!this.#ended) {
      await orGiveUp(
        this.#change.promise,
        AbortSignal.timeout(timeoutMs),
        () =>
          `the end, with ${this.#bytes.length} bytes so far: ${JSON.stringify(this.#bytes.toString("latin1", 0, 300))}`,
      );
    }
    return this.#cut(this.#bytes.length);
  }

  async #until(there: () => boolean, what: string): Promise<void> {
    while (!there()) {
      if (this.#ended) throw new Ended(`the relay closed the connection instead of sending ${what}`);
      this.#stream.resume();
      await orGiveUp(this.#change.promise, AbortSignal.timeout(patienceMs), () => what);
    }
  }

  #cut(length: number): Buffer {
    const cut = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return cut;
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
