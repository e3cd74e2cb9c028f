import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { FrameType, looksLikeDisco } from "./frame.ts";
import { FrameReader, type FrameSink, Verdict } from "./reader.ts";
import { encodeFrame, encodePong, writeHeader } from "./writer.ts";

/** Records what a reader hands over. Frames of type 0x7f are skipped, of type 0x7e refused. */
class Recorder implements FrameSink {
  readonly events: string[] = [];

  header(type: number, length: number): Verdict {
    if (type === 0x7e) return Verdict.refuse;
    if (type !== 0x7f) return Verdict.deliver;
    this.events.push(`skip ${length}`);
    return Verdict.skip;
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    this.events.push(`${type} ${buffer.toString("hex", start, end)}`);
    return type !== 0x7d;
  }
}

const read = (...chunks: readonly Buffer[]): { events: string[]; reader: FrameReader } => {
  const recorder = new Recorder();
  const reader = new FrameReader();
  for (const chunk of chunks) reader.push(chunk, recorder);
  return { events: recorder.events, reader };
};

test("1. Given header bytes `04 00 00 04 00`, when parsed, then type 04, length 1024; `05 ff ff ff ff` parses to length 4 294 967 295 without allocating it.", () => {
  const seen: unknown[] = [];
  const sink: FrameSink = {
    header: (type, length) => {
      seen.push([type, length]);
      return Verdict.deliver;
    },
    frame: () => true,
  };
  new FrameReader().push(Buffer.from("0400000400", "hex"), sink);
  const before = process.memoryUsage().arrayBuffers;
  new FrameReader().push(Buffer.from("05ffffffff", "hex"), sink);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_048_576);
  assert.deepEqual(seen, [
    [4, 1024],
    [5, 4_294_967_295],
  ]);
});

test("2. Given type 04 and length 1024, when a header is written, then exactly `04 00 00 04 00`, also when the output buffer is nearly full.", () => {
  const buffer = Buffer.alloc(7);
  assert.equal(writeHeader(buffer, 2, 4, 1024), 7);
  assert.equal(buffer.toString("hex"), "00000400000400");
});

test("3. a stream split at every byte boundary gives the same events", () => {
  const stream = Buffer.concat([
    encodeFrame(FrameType.keepAlive),
    encodeFrame(FrameType.sendPacket, Buffer.alloc(40, 7)),
    encodeFrame(0x7f, Buffer.alloc(9_000, 1)),
    encodeFrame(FrameType.ping, Buffer.from("0102030405060708", "hex")),
    encodeFrame(0x7f),
    encodeFrame(FrameType.sendPacket, Buffer.alloc(10_000, 3)),
  ]);
  const whole = read(stream);
  assert.equal(whole.events.length, 6);
  for (let at = 0; at <= stream.length; at++) {
    const split = read(stream.subarray(0, at), stream.subarray(at));
    assert.deepEqual(split.events, whole.events, `split at ${at}`);
    assert.equal(split.reader.atBoundary, true);
  }
  const single = read(...Array.from(stream, (byte) => Buffer.of(byte)));
  assert.deepEqual(single.events, whole.events);
});

test("random frames in random pieces are handed over once, in order and whole", () => {
  const frames = fc.array(fc.tuple(fc.integer({ min: 0, max: 0x7c }), fc.uint8Array({ maxLength: 300 })), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }), (input, sizes) => {
      const stream = Buffer.concat(input.map(([type, payload]) => encodeFrame(type, payload)));
      const pieces: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = sizes[turn % sizes.length] as number;
        pieces.push(stream.subarray(at, at + size));
        at += size;
      }
      const expected = input.map(([type, payload]) => `${type} ${Buffer.from(payload).toString("hex")}`);
      assert.deepEqual(read(...pieces).events, expected);
    }),
  );
});

test("large frames of many streams that are gathered side by side keep their own bytes", () => {
  const lengths = [16_384, 16_385, 40_000, 65_568, 65_600, 65_601, 200_000];
  const streams = lengths.map((length, index) => {
    const frames = [1, 2, 3].map((round) =>
      encodeFrame(FrameType.sendPacket, Buffer.alloc(length, 16 * round + index)),
    );
    return { bytes: Buffer.concat(frames), reader: new FrameReader(), at: 0, seen: [] as string[] };
  });
  const sinkOf = (seen: string[]): FrameSink => ({
    header: () => Verdict.deliver,
    frame(_, buffer, start, end) {
      const payload = buffer.subarray(start, end);
      seen.push(
        `${payload.length} of ${payload.every((byte) => byte === payload[0]) ? payload[0] : "several"}`,
      );
      return true;
    },
  });
  // Turn and turn about, so that each stream has a frame under way while others end theirs.
  for (let round = 0; streams.some(({ at, bytes }) => at < bytes.length); round++) {
    for (const stream of streams) {
      const piece = 5_000 + ((round * 7_919) % 20_000);
      stream.reader.push(stream.bytes.subarray(stream.at, stream.at + piece), sinkOf(stream.seen));
      stream.at += piece;
    }
  }
  for (const [index, { seen }] of streams.entries()) {
    assert.deepEqual(
      seen,
      [1, 2, 3].map((round) => `${lengths[index]} of ${16 * round + index}`),
    );
  }
});

test("nothing is read after a refused frame, or after the sink asks to stop", () => {
  const after = encodeFrame(FrameType.keepAlive);
  for (const type of [0x7e, 0x7d]) {
    const stream = Buffer.concat([
      encodeFrame(FrameType.keepAlive),
      encodeFrame(type, Buffer.alloc(3)),
      after,
    ]);
    for (let at = 0; at <= stream.length; at++) {
      const { events, reader } = read(stream.subarray(0, at), stream.subarray(at), after);
      assert.equal(events.filter((event) => event === "6 ").length, 1, `split at ${at}`);
      assert.equal(reader.stopped, true);
    }
  }
});

test("69. in the middle of a frame the stream is not at a boundary", () => {
  for (const bytes of ["04", "0400000002", "040000000201", "7f00000003aa"]) {
    assert.equal(read(Buffer.from(bytes, "hex")).reader.atBoundary, false, bytes);
  }
});

test("55. the disco test wants the magic and at least 62 bytes", () => {
  const disco = Buffer.concat([Buffer.from("5453f09f92ac", "hex"), Buffer.alloc(56)]);
  assert.equal(looksLikeDisco(disco, 0, 62), true);
  assert.equal(looksLikeDisco(disco, 0, 61), false);
  assert.equal(looksLikeDisco(Buffer.concat([Buffer.alloc(3), disco]), 3, 65), true);
  assert.equal(looksLikeDisco(Buffer.alloc(62), 0, 62), false);
});

test("63. a pong echoes the first eight bytes of a ping", () => {
  const ping = Buffer.from("0102030405060708090a", "hex");
  assert.equal(encodePong(ping).toString("hex"), "13000000080102030405060708");
});
