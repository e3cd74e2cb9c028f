/**
 * Cuts a byte stream into frames.
 *
 * A frame that lies whole in a chunk is handed over where it lies, without a copy. Only a frame that is split between
 * chunks is gathered, in a buffer that grows with what has arrived and never with what a header merely announces.
 */
import { headerLength } from "./frame.ts";
import { giveGatherBuffer, takeGatherBuffer } from "./gather-buffers.ts";

/** What to do with a frame, decided on its header alone, before any memory is spent on it. */
export const Verdict = {
  /** Gather the payload and hand it over. */
  deliver: 0,
  /** Read past the payload, however long it is. */
  skip: 1,
  /** The frame breaks the protocol: read nothing more. */
  refuse: 2,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export interface FrameSink {
  /** Called once per frame, as soon as its header is there. */
  header(type: number, length: number): Verdict;
  /**
   * A frame to deliver; its payload is `buffer[start, end)`, valid during the call only.
   *
   * @returns false to stop reading: what follows in the stream is dropped
   */
  frame(type: number, buffer: Buffer, start: number, end: number): boolean;
}

/** Room for a payload of which little has come. */
const leastRoom = 4_096;
/** Room for so many times as much as has come. */
const growth = 2;
/** A payload before its first byte. */
const nothing = Buffer.alloc(0);

export class FrameReader {
  /** The five header bytes, as far as they have come in an earlier chunk; undefined until a header has been split. */
  #header: Buffer | undefined;
  #headerFill = 0;
  #type = 0;
  #length = 0;
  /** The payload that is being gathered; undefined between frames and while skipping. */
  #payload: Buffer | undefined;
  #payloadFill = 0;
  /** Payload bytes still to be skipped. */
  #skip = 0;
  #stopped = false;
  /** What came while frames are held back; undefined while they are not. */
  #held: Buffer[] | undefined;

  /** True after a frame was refused or the sink asked to stop. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** True if the stream stands between two frames, where an end of file is a clean end. */
  get atBoundary(): boolean {
    return this.#headerFill === 0 && this.#payload === undefined && this.#skip === 0;
  }

  /** Holds back whatever comes behind the frame that is being handed over, until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Hands over what was held back, and goes on. */
  release(sink: FrameSink): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const chunk of held) this.push(chunk, sink);
  }

  /** Takes the next bytes of the stream. `chunk` is not kept. */
  push(chunk: Buffer, sink: FrameSink): void {
    if (this.#keep(chunk, 0)) return;
    let at = this.#stopped ? chunk.length : this.#resume(chunk, sink);
    while (this.#goesOn && chunk.length - at >= headerLength) {
      const type = chunk[at] as number;
      const length = chunk.readUInt32BE(at + 1);
      const start = at + headerLength;
      if (chunk.length - start >= length) {
        // The common case, and the packet path: the whole frame is here.
        const verdict = sink.header(type, length);
        if (verdict === Verdict.refuse) this.#stopped = true;
        else if (verdict === Verdict.deliver) this.#stopped = !sink.frame(type, chunk, start, start + length);
        at = start + length;
      } else {
        this.#begin(type, length, sink);
        at = this.#resume(chunk.subarray(start), sink) + start;
      }
    }
    if (this.#keep(chunk, at)) return;
    if (!this.#stopped && at < chunk.length) {
      this.#header ??= Buffer.alloc(headerLength);
      chunk.copy(this.#header, 0, at);
      this.#headerFill = chunk.length - at;
    }
  }

  /** Keeps what comes while frames are held back. */
  #keep(chunk: Buffer, at: number): boolean {
    if (this.#held === undefined) return false;
    if (at < chunk.length) this.#held.push(Buffer.from(chunk.subarray(at)));
    return true;
  }

  get #goesOn(): boolean {
    return !this.#stopped && this.#held === undefined;
  }

  /** Continues what an earlier chunk began. Returns how many bytes of this chunk that took. */
  #resume(chunk: Buffer, sink: FrameSink): number {
    let at = 0;
    if (this.#header !== undefined && this.#headerFill > 0) {
      at = chunk.copy(this.#header, this.#headerFill);
      this.#headerFill += at;
      if (this.#headerFill < headerLength) return at;
      this.#headerFill = 0;
      this.#begin(this.#header[0] as number, this.#header.readUInt32BE(1), sink);
    }
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, chunk.length - at);
      this.#skip -= skipped;
      return at + skipped;
    }
    if (this.#payload !== undefined) at += this.#gather(chunk.subarray(at), sink);
    return at;
  }

  /** Begins a frame whose payload is not in the chunk that holds the end of its header. */
  #begin(type: number, length: number, sink: FrameSink): void {
    this.#type = type;
    this.#length = length;
    const verdict = sink.header(type, length);
    if (verdict === Verdict.refuse) {
      this.#stopped = true;
    } else if (verdict === Verdict.skip) {
      this.#skip = length;
    } else {
      this.#payload = nothing;
      this.#payloadFill = 0;
    }
  }

  /** Adds to the payload that is being gathered, and delivers it when it is whole. */
  #gather(chunk: Buffer, sink: FrameSink): number {
    const taken = Math.min(chunk.length, this.#length - this.#payloadFill);
    const filled = this.#payloadFill + taken;
    let payload = this.#payload as Buffer;
    if (filled > payload.length) {
      const grown = takeGatherBuffer(Math.min(this.#length, Math.max(leastRoom, growth * filled)));
      payload.copy(grown, 0, 0, this.#payloadFill);
      giveGatherBuffer(payload);
      this.#payload = payload = grown;
    }
    chunk.copy(payload, this.#payloadFill, 0, taken);
    this.#payloadFill = filled;
    if (filled === this.#length) {
      this.#payload = undefined;
      this.#stopped = !sink.frame(this.#type, payload, 0, filled);
      giveGatherBuffer(payload);
    }
    return taken;
  }
}
