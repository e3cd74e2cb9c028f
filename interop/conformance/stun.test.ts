/**
 * Statements 105 to 107: STUN. 108 (Q1) needs a relay that listens on every address; it is proven beside the code.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { crc32 } from "node:zlib";
import { encodeBindingRequest } from "../../relay/stun/message.ts";
import { patienceMs } from "./incoming.ts";
import type { RelayUnderTest } from "./relay-under-test.ts";
import { statement } from "./suite.ts";

const resendMs = 200;

/** Sends datagrams, then a good request, until that one is answered. @returns every answer, the good request's last */
async function answersTo(
  t: TestContext,
  { stunPort }: RelayUnderTest,
  datagrams: readonly Buffer[],
): Promise<{ answers: Buffer[]; port: number }> {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const id = randomBytes(12);
  const answers: Buffer[] = [];
  const all = new Promise<void>((resolve) => {
    socket.on("message", (answer) => {
      answers.push(answer);
      if (answer.includes(id)) resolve();
    });
  });
  for (const datagram of datagrams) socket.send(datagram, stunPort, "127.0.0.1");
  const again = setInterval(() => socket.send(encodeBindingRequest(id), stunPort, "127.0.0.1"), resendMs);
  socket.send(encodeBindingRequest(id), stunPort, "127.0.0.1");
  const late = setTimeout(() => socket.emit("error", new Error("STUN does not answer")), patienceMs);
  await Promise.race([all, once(socket, "error").then(([error]) => Promise.reject(error))]);
  clearInterval(again);
  clearTimeout(late);
  return {
    answers: answers.slice(0, answers.findIndex((answer) => answer.includes(id)) + 1),
    port: socket.address().port,
  };
}

const vector = Buffer.from(
  "000100142112a4420102030405060708090a0b0c802200087461696c6e6f646580280004b32c370f",
  "hex",
);

statement(
  "105. Given the request vector, then the response vector (family 01 for IPv4).",
  async ({ t, relay }) => {
    const { answers, port } = await answersTo(t, relay, [vector]);
    assert.equal(answers.length, 2);
    const xored = (port ^ 0x2112).toString(16).padStart(4, "0");
    const address = Buffer.from([127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]).toString("hex");
    assert.equal(
      answers[0]?.toString("hex"),
      `0101000c2112a4420102030405060708090a0b0c002000080001${xored}${address}`,
    );
  },
);

/** A message of any header and attributes, with the fingerprint that belongs to it. */
function message(
  attributes: Buffer,
  { type = 0x0001, cookie = 0x2112a442, length = attributes.length + 8 } = {},
): Buffer {
  const head = Buffer.alloc(20, 9);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(length, 2);
  head.writeUInt32BE(cookie, 4);
  const covered = Buffer.concat([head, attributes]);
  const mark = Buffer.alloc(8);
  mark.writeUInt32BE(0x80280004, 0);
  mark.writeUInt32BE((crc32(covered) ^ 0x5354554e) >>> 0, 4);
  return Buffer.concat([covered, mark]);
}

const software = (name: string): Buffer => {
  const value = Buffer.from(name);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(0x8022, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
};
const tailnode = software("tailnode");
const other = Buffer.from("0006000461626364", "hex");
const damaged = Buffer.from(vector);
damaged.writeUInt8(damaged.readUInt8(39) ^ 1, 39);

/** Answered or not. The header's length is not looked at. */
const verdicts: Readonly<Record<string, readonly [datagram: Buffer, answered: boolean]>> = {
  "106. the request": [message(tailnode), true],
  "106. an empty datagram": [Buffer.alloc(0), false],
  "106. 19 bytes": [message(tailnode).subarray(0, 19), false],
  "106. a wrong cookie": [message(tailnode, { cookie: 0x2112a443 }), false],
  "106. top bits set": [message(tailnode, { type: 0x4001 }), false],
  "106. both top bits set": [message(tailnode, { type: 0xc001 }), false],
  "106. another method": [message(tailnode, { type: 0x0002 }), false],
  "106. a response": [message(tailnode, { type: 0x0101 }), false],
  "106. a length in the header that is wrong": [message(tailnode, { length: 0xffff }), true],
  "106. trailing bytes": [Buffer.concat([message(tailnode), Buffer.alloc(3)]), false],
  "106. a trailing attribute header": [Buffer.concat([message(tailnode), Buffer.alloc(4)]), false],
  "107. a wrong fingerprint": [damaged, false],
  "107. a missing fingerprint": [message(tailnode).subarray(0, -8), false],
  "107. an attribute after it": [Buffer.concat([message(tailnode), other]), false],
  "107. another SOFTWARE": [message(software("tailnodf")), false],
  "107. a longer SOFTWARE": [message(software("tailnode1")), false],
  "107. no SOFTWARE": [message(Buffer.alloc(0)), false],
  "107. a 20-byte bare binding request": [message(tailnode).subarray(0, 20), false],
  "107. another attribute before": [message(Buffer.concat([other, tailnode])), true],
  "107. another attribute between": [message(Buffer.concat([tailnode, other])), true],
  "107. two SOFTWARE, the first another": [message(Buffer.concat([software("x"), tailnode])), true],
  "107. two SOFTWARE, the second another": [message(Buffer.concat([tailnode, software("x")])), true],
  "107. two fingerprints": [message(message(tailnode).subarray(20)), true],
  "107. an attribute that runs past the end": [message(Buffer.from("0006ffff", "hex")), false],
  "107. 1 KiB of attributes": [
    message(Buffer.concat([...Array.from({ length: 128 }, () => other), tailnode])),
    true,
  ],
};
for (const [name, [datagram, answered]] of Object.entries(verdicts)) {
  statement(`${name} gets ${answered ? "an" : "no"} answer.`, async ({ t, relay }) => {
    const { answers } = await answersTo(t, relay, [datagram]);
    assert.equal(answers.length, answered ? 2 : 1);
  });
}
