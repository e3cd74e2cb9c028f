/** What a frame costs in the reader, without TLS or socket: `npm run bench -- --micro`. */
import { FrameType, headerLength, keyLength } from "./frame.ts";
import { FrameReader, type FrameSink, Verdict } from "./reader.ts";
import { encodeSendPacket } from "./writer.ts";

/** As much as a socket gives at once. */
const chunkLength = 65_536;
const chunks = 64;

/** Takes every frame and looks at one byte of it. */
const sink: FrameSink & { sum: number } = {
  sum: 0,
  header: () => Verdict.deliver,
  frame(type, buffer, start) {
    this.sum += type + (buffer[start] as number);
    return true;
  },
};

export const benchmarks: Readonly<Record<string, () => number>> = {
  "reader: a packet of 64 B, whole in its chunk": reading(64, true),
  "reader: a packet of 1280 B, whole in its chunk": reading(1_280, true),
  "reader: a packet of 1280 B, cut anywhere": reading(1_280, false),
  "reader: a packet of 16 KiB, cut anywhere": reading(16_384, false),
};

/** @param whole true if no frame is cut by the end of a chunk */
function reading(size: number, whole: boolean): () => number {
  const frame = encodeSendPacket(Buffer.alloc(keyLength, 7), Buffer.alloc(size));
  const perChunk = Math.floor(chunkLength / frame.length);
  const stream = Buffer.concat(Array.from({ length: perChunk * chunks }, () => frame));
  if (frame[0] !== FrameType.sendPacket || frame.length !== headerLength + keyLength + size)
    throw new Error();
  const length = whole ? perChunk * frame.length : chunkLength;
  return () => {
    const reader = new FrameReader();
    for (let at = 0; at < stream.length; at += length) reader.push(stream.subarray(at, at + length), sink);
    return perChunk * chunks;
  };
}
