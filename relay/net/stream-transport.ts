/** A stream as the core sees it: it takes bytes whole, or says that it is full and later that it has drained. */
import type { Duplex } from "node:stream";
import type { Transport } from "../core/session-context.ts";

export class StreamTransport implements Transport {
  readonly #stream: Duplex;
  /** What reads the stream, if it is more than the stream itself. */
  reading: { pause(): unknown; resume(): unknown };
  /** Called when a stream that was full has passed on everything. */
  onDrained: () => void = () => {};
  readonly #written: () => void;
  #waiting = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.reading = stream;
    // One function for all writes of a connection: nothing is allocated per write.
    this.#written = () => {
      if (!this.#waiting || this.#stream.writableLength > 0) return;
      this.#waiting = false;
      this.onDrained();
    };
  }

  /** Node has taken the bytes whole, and copied them, exactly when nothing stays queued in the stream. */
  write(bytes: Buffer): boolean {
    if (this.#stream.destroyed) return true;
    this.#stream.write(bytes, this.#written);
    this.#waiting = this.#stream.writableLength > 0;
    return !this.#waiting;
  }

  pauseReading(ms: number): void {
    this.reading.pause();
    if (Number.isFinite(ms)) setTimeout(() => this.reading.resume(), ms);
  }

  resumeReading(): void {
    this.reading.resume();
  }

  close(): void {
    this.#stream.destroy();
  }
}
