/** Statements 105 to 108: STUN. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { randomBytes } from "node:crypto";
import { describe, type TestContext } from "node:test";
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
  host = "127.0.0.1",
): Promise<{ answers: Buffer[]; port: number }> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  t.after(() => socket.close());
  socket.bind(0, host);
  await once(socket, "listening");
  const id = randomBytes(12);
  const answers: Buffer[] = [];
  const all = new Promise<void>((resolve) => {
    socket.on("message", (answer) => {
      answers.push(answer);
      if (answer.includes(id)) resolve();
    });
  });
  for (const datagram of datagrams) socket.send(datagram, stunPort, host);
  const again = setInterval(() => socket.send(encodeBindingRequest(id), stunPort, host), resendMs);
  socket.send(encodeBindingRequest(id), stunPort, host);
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
    assert.equal(answers[0]?.toString("hex"), shortAnswer(port));
  },
);

const everywhere = { relay: { address: "" } };
/** What XOR-MAPPED-ADDRESS of family 02 covers an address with: the cookie and the vector's transaction id. */
const mask = Buffer.from("2112a4420102030405060708090a0b0c", "hex");

/** The answer to the vector's request that names 127.0.0.1 with family 01. */
function shortAnswer(port: number): string {
  return `0101000c2112a4420102030405060708090a0b0c002000080001${coverPort(port)}5e12a443`;
}

/** The answer to the vector's request that names an address of 16 bytes. */
function longAnswer(address: Buffer, port: number): string {
  const covered = address.map((byte, index) => byte ^ (mask[index] ?? 0));
  return `010100182112a4420102030405060708090a0b0c002000140002${coverPort(port)}${Buffer.from(covered).toString("hex")}`;
}

function coverPort(port: number): string {
  return (port ^ 0x2112).toString(16).padStart(4, "0");
}

statement(
  "105. Given the request vector over IPv6, then the response vector (family 02).",
  async ({ t, relay }) => {
    const { answers, port } = await answersTo(t, relay, [vector], "::1");
    const loopback = Buffer.from("00000000000000000000000000000001", "hex");
    assert.equal(answers[0]?.toString("hex"), longAnswer(loopback, port));
  },
  everywhere,
);

statement(
  "108. Given a v4-mapped source address, then family 01 (Q1).",
  async ({ t, relay, differs }) => {
    const { answers, port } = await answersTo(t, relay, [vector]);
    const mapped = Buffer.from("00000000000000000000ffff7f000001", "hex");
    const expected = differs("Q1", { derper: longAnswer(mapped, port), ours: shortAnswer(port) });
    assert.equal(answers[0]?.toString("hex"), expected);
  },
  everywhere,
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

type Verdicts = Readonly<Record<string, readonly [datagram: Buffer, answered: boolean]>>;

/** Answered or not. The header's length is not looked at. */
const headers: Verdicts = {
  "the request": [message(tailnode), true],
  "an empty datagram": [Buffer.alloc(0), false],
  "19 bytes": [message(tailnode).subarray(0, 19), false],
  "a wrong cookie": [message(tailnode, { cookie: 0x2112a443 }), false],
  "top bits set": [message(tailnode, { type: 0x4001 }), false],
  "both top bits set": [message(tailnode, { type: 0xc001 }), false],
  "another method": [message(tailnode, { type: 0x0002 }), false],
  "a response": [message(tailnode, { type: 0x0101 }), false],
  "a length in the header that is wrong": [message(tailnode, { length: 0xffff }), true],
  "trailing bytes": [Buffer.concat([message(tailnode), Buffer.alloc(3)]), false],
  "a trailing attribute header": [Buffer.concat([message(tailnode), Buffer.alloc(4)]), false],
};

const contents: Verdicts = {
  "a wrong fingerprint": [damaged, false],
  "a missing fingerprint": [message(tailnode).subarray(0, -8), false],
  "an attribute after it": [Buffer.concat([message(tailnode), other]), false],
  "another SOFTWARE": [message(software("tailnodf")), false],
  "a longer SOFTWARE": [message(software("tailnode1")), false],
  "no SOFTWARE": [message(Buffer.alloc(0)), false],
  "a 20-byte bare binding request": [message(tailnode).subarray(0, 20), false],
  "another attribute before": [message(Buffer.concat([other, tailnode])), true],
  "another attribute between": [message(Buffer.concat([tailnode, other])), true],
  "two SOFTWARE, the first another": [message(Buffer.concat([software("x"), tailnode])), true],
  "two SOFTWARE, the second another": [message(Buffer.concat([tailnode, software("x")])), true],
  "two fingerprints": [message(message(tailnode).subarray(20)), true],
  "an attribute that runs past the end": [message(Buffer.from("0006ffff", "hex")), false],
  "1 KiB of attributes": [
    message(Buffer.concat([...Array.from({ length: 128 }, () => other), tailnode])),
    true,
  ],
};

function expectVerdicts(verdicts: Verdicts): void {
  for (const [name, [datagram, answered]] of Object.entries(verdicts)) {
    statement(`${name} gets ${answered ? "an" : "no"} answer`, async ({ t, relay }) => {
      const { answers } = await answersTo(t, relay, [datagram]);
      assert.equal(answers.length, answered ? 2 : 1);
    });
  }
}

describe("106. Given upstream's header table (short, wrong cookie, top bits set, trailing bytes), then STUN/not-STUN verdicts match.", () =>
  expectVerdicts(headers));

describe("107. Given a wrong fingerprint, a missing fingerprint, an attribute after it, another or no SOFTWARE, or a 20-byte bare binding request, then no answer; other attributes do no harm.", () =>
  expectVerdicts(contents));
