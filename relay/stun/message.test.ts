import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import {
  decodeBindingRequest,
  decodeBindingResponse,
  encodeBindingRequest,
  encodeBindingResponse,
  isStunMessage,
} from "./message.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

// The vectors of reference/derp.md, section 15.
const transactionId = hex("0102030405060708090a0b0c");
const request = hex("000100142112a4420102030405060708090a0b0c802200087461696c6e6f646580280004b32c370f");
const responseIpv4 = hex("0101000c2112a4420102030405060708090a0b0c002000080001a147e112a663");
const responseIpv6 = hex(
  "010100182112a4420102030405060708090a0b0c002000140002a1470113a9fa0102030405060708090a0b3f",
);
const responseMapped = hex(
  "010100182112a4420102030405060708090a0b0c002000140002a1472112a442010203040506f8f7c90a092d",
);

/** The header of a response, for attributes of so many bytes (hex). */
const responseHead = (length: string) => `0101${length}2112a4420102030405060708090a0b0c`;

const tailnode = "8022 0008 7461696c6e6f6465";

/** A binding request of the given attributes, each `type length value` in hex. */
function requestOf(attributes: string): Buffer {
  return Buffer.concat([request.subarray(0, 20), hex(attributes)]);
}

/** Appends the right FINGERPRINT, with the CRC spelt out bit by bit instead of computed as the code does. */
function signed(covered: Buffer): Buffer {
  let crc = 0xffffffff;
  for (const byte of covered) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  const value = Buffer.alloc(4);
  value.writeUInt32BE((~crc ^ 0x5354554e) >>> 0);
  return Buffer.concat([covered, hex("8028 0004"), value]);
}

test("105. the request vector is answered with the response vector, family 01 for IPv4 and 02 for IPv6", () => {
  assert.deepEqual(decodeBindingRequest(request), transactionId);
  assert.deepEqual(encodeBindingResponse(transactionId, "192.0.2.33", 32_853), responseIpv4);
  assert.deepEqual(encodeBindingResponse(transactionId, "2001:db8::33", 32_853), responseIpv6);
});

test("106. the header alone tells STUN from other datagrams", () => {
  const header = hex("00010000 2112a442 0102030405060708090a0b0c");
  const changed = (offset: number, byte: number) => Buffer.from(header).fill(byte, offset, offset + 1);
  assert.equal(isStunMessage(header), true);
  assert.equal(isStunMessage(Buffer.concat([header, hex("ff")])), true, "trailing bytes");
  assert.equal(isStunMessage(Buffer.alloc(0)), false, "empty");
  assert.equal(isStunMessage(header.subarray(0, 19)), false, "short");
  assert.equal(isStunMessage(changed(4, 0x20)), false, "wrong cookie");
  assert.equal(isStunMessage(changed(0, 0x40)), false, "second bit set");
  assert.equal(isStunMessage(changed(0, 0x80)), false, "top bit set");
});

test("107. only a Tailscale client's request is answered", () => {
  const wrongFingerprint = Buffer.from(request).fill(0, request.length - 1);
  const afterFingerprint = Buffer.concat([request, hex("8022 0000")]);
  const requests: Record<string, Buffer> = {
    "a wrong fingerprint": wrongFingerprint,
    "a missing fingerprint": requestOf(tailnode),
    "an attribute after the fingerprint": afterFingerprint,
    "another software": signed(requestOf("8022 0008 7461696c6e6f6466")),
    "no software": signed(requestOf("")),
    "a bare binding request": request.subarray(0, 20),
    "a fingerprint of no bytes": requestOf(`${tailnode} 8028 0000`),
    "a fingerprint of eight bytes": requestOf(`${tailnode} 8028 0008 0000000000000000`),
    "an attribute that runs past the end": requestOf(`${tailnode} 8028 0008 00000000`),
    "an attribute without its padding": requestOf("8022 0005 7461696c6e"),
    "a piece of an attribute's header": requestOf(`${tailnode} 8028 00`),
    "another method": Buffer.from(request).fill(0x02, 1, 2),
    "a response": responseIpv4,
  };
  for (const [name, datagram] of Object.entries(requests)) {
    assert.equal(decodeBindingRequest(datagram), undefined, name);
  }
});

test("a request with more attributes, and with a wrong length in its header, is answered", () => {
  const more = signed(requestOf(`0006 0005 616c696365 000000 ${tailnode} ${tailnode}`));
  assert.deepEqual(decodeBindingRequest(more), transactionId);
});

test("108. a v4-mapped source is answered with family 01", () => {
  assert.deepEqual(encodeBindingResponse(transactionId, "::ffff:192.0.2.33", 32_853), responseIpv4);
});

test("109. Given a response of ours, then a client parses address, port and transaction id, for ports 254 and 257 and IPs 1.2.3.4 and 1::4.", () => {
  for (const [address, port] of [
    ["1.2.3.4", 254],
    ["1.2.3.4", 257],
    ["1::4", 254],
    ["1::4", 257],
  ] as const) {
    const response = decodeBindingResponse(encodeBindingResponse(transactionId, address, port));
    assert.deepEqual(response, { transactionId, address, port });
  }
});

test("the client's request is the vector", () => {
  assert.deepEqual(encodeBindingRequest(transactionId), request);
});

test("a client reads a v4-mapped answer, the draft's attribute, plain MAPPED-ADDRESS, and skips what it does not know", () => {
  const expected = { transactionId, address: "192.0.2.33", port: 32_853 };
  assert.deepEqual(decodeBindingResponse(responseMapped), expected, "v4-mapped");
  assert.deepEqual(
    decodeBindingResponse(hex(`${responseHead("000c")} 80200008 0001a147e112a663`)),
    expected,
    "draft number",
  );
  assert.deepEqual(
    decodeBindingResponse(hex(`${responseHead("000c")} 00010008 00018055c0000221`)),
    expected,
    "plain",
  );
  assert.deepEqual(
    decodeBindingResponse(
      hex(`${responseHead("001c")} 00010008 0001000001020304 80220000 00200008 0001a147e112a663`),
    ),
    expected,
    "XOR-MAPPED-ADDRESS before MAPPED-ADDRESS",
  );
  assert.deepEqual(
    decodeBindingResponse(Buffer.concat([responseIpv4, hex("ff")])),
    expected,
    "trailing bytes",
  );
});

test("a client refuses what is no answer", () => {
  const datagrams: Record<string, Buffer> = {
    "a request": request,
    "no address": hex(responseHead("0000")),
    "a length beyond the end": responseIpv4.subarray(0, -1),
    "a family that is none": hex(`${responseHead("000c")} 00200008 0003a147e112a663`),
    "an IPv6 address of four bytes": hex(`${responseHead("000c")} 00200008 0002a147e112a663`),
    "an address attribute of two bytes": hex(`${responseHead("0008")} 00200002 00010000`),
  };
  for (const [name, datagram] of Object.entries(datagrams)) {
    assert.equal(decodeBindingResponse(datagram), undefined, name);
  }
});

test("random bytes are never answered and never throw, also behind a right header", () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.from(tail));
  const behindHeader = bytes.map((tail) => Buffer.concat([request.subarray(0, 20), tail]));
  fc.assert(
    fc.property(fc.oneof(bytes, behindHeader), (datagram) => {
      assert.equal(decodeBindingRequest(datagram), undefined);
      decodeBindingResponse(datagram);
    }),
  );
});

test("a request with one changed bit is never answered", () => {
  fc.assert(
    fc.property(fc.nat({ max: request.length * 8 - 1 }), (bit) => {
      const changed = Buffer.from(request);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(decodeBindingRequest(changed), undefined);
    }),
  );
});

test("every address and port survives a response", () => {
  const addresses = fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::1", "fe80::1:2:3"));
  const ids = fc.uint8Array({ minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(addresses, fc.nat({ max: 65_535 }), ids, (address, port, id) => {
      const response = decodeBindingResponse(encodeBindingResponse(id, address, port));
      assert.deepEqual(response, { transactionId: Buffer.from(id), address, port });
    }),
  );
});
