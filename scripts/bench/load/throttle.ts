/** A stream that is read no faster than so many bytes a second, so that whoever writes to it is held back. */
import type { Readable } from "node:stream";

/** What a reader that came late may catch up, in milliseconds. */
const catchUpMs = 50;

/** Slows a stream that flows, from now on. @param bytesPerSecond that its readers get */
export function throttle(stream: Readable, bytesPerSecond: number): void {
  /** When what was read is due. */
  let due = performance.now();
  stream.on("data", (chunk: Buffer) => {
    const now = performance.now();
    due = Math.max(due, now - catchUpMs) + (chunk.length / bytesPerSecond) * 1_000;
    if (due <= now) return;
    stream.pause();
    setTimeout(() => stream.resume(), due - now);
  });
}
