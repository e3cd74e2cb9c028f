import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import fc from "fast-check";
import { createHelloReader, type HelloReading, maxHelloBytes } from "./client-hello.ts";

/** From OpenSSL 3.0's s_client: `-servername 1.0.0.127.in-addr.arpa -alpn acme-tls/1`. */
const openSsl = Buffer.from(
  "1603010154010001500303f56d33f947f9afe534d094bfb6857c880de505a900783a026b4fcc7bda019204206dd61ce6a9b67e8fd1cc85" +
    "73559488f5bf821d5dd7128f14619e59b7409a61f1003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023" +
    "c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000c90000001b0019000016312e302e302e3132372e696e" +
    "2d616464722e61727061000b000403000102000a00160014001d0017001e0019001801000101010201030104002300000010000d000b0a" +
    "61636d652d746c732f310016000000170000000d002a0028040305030603080708080809080a080b080408050806040105010601030303" +
    "010302040205020602002b0009080304030303020301002d00020101003300260024001d0020c72762781a336ac541c674cb621e8c3d65" +
    "b92d59edf4c8c03e6084c6c98a6f2e",
  "hex",
);
/** From Node with TLS 1.2 at most, and neither SNI nor ALPN. */
const unnamed = Buffer.from(
  "16030100e6010000e2030387900e6f35b9523081fe7b55b1e4d1366779089e1601e6b50f05fe2f7de8472b000062c02fc02bc030c02c00" +
    "9ec0270067c028006b00a3009fcca9cca8ccaac0adc09fc05dc061c057c05300a2c0acc09ec05cc060c056c052c024006ac0230040c00a" +
    "c01400390038c009c01300330032009dc09dc051009cc09cc050003d003c0035002f01000057ff01000100000b000403000102000a000c" +
    "000a001d0017001e00180019002300000016000000170000000d002a0028040305030603080708080809080a080b080408050806040105" +
    "010601030303010302040205020602",
  "hex",
);
/** From Bun, whose TLS is BoringSSL: TLS 1.2 at most, and neither SNI nor ALPN. */
const boring = Buffer.from(
  "1603010086010000820303381b223448d854a106bf62316afa5dbf36224aed86aa8d2f5d51bbdb607f16a300001ec02fc02bc030c02cc0" +
    "27cca9cca8c009c013c00ac014009c009d002f00350100003b00170000ff01000100000a00080006001d00170018000b00020100002300" +
    "00000d0018001604030804040105030805050108060601080706030201",
  "hex",
);

const acme: HelloReading = {
  kind: "hello",
  servername: "1.0.0.127.in-addr.arpa",
  alpn: ["acme-tls/1"],
};
const nobody: HelloReading = { kind: "hello", servername: undefined, alpn: [] };

/** What this Node sends first: with a post-quantum key it has more than 1,400 bytes. */
function capture(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (chunk: Buffer) => resolve(chunk) });
    connect({ socket: wire, ...options }).on("error", () => {});
  });
}

function read(...chunks: readonly Uint8Array[]): HelloReading {
  const reader = createHelloReader();
  let reading: HelloReading = { kind: "partial" };
  for (const chunk of chunks) reading = reader.push(chunk);
  assert.deepEqual(reader.bytes, Buffer.concat(chunks), "all that came is kept");
  return reading;
}

const vector = (size: 1 | 2, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = Buffer.alloc(size);
  length.writeUIntBE(content.length, 0, size);
  return Buffer.concat([length, content]);
};

const extension = (type: number, content: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(type >> 8, type & 255), vector(2, content)]);

/** A hello of given extensions, in one record unless it is to be cut. */
function build(extensions: readonly Uint8Array[], cut = (message: Buffer) => [message]): Buffer {
  const grease = Buffer.of(0x1a, 0x1a, 0x13, 0x01);
  const body = [Buffer.of(3, 3), Buffer.alloc(32, 7), vector(1, Buffer.alloc(32, 9)), vector(2, grease)];
  const content = Buffer.concat([...body, vector(1, Buffer.of(0)), vector(2, ...extensions)]);
  const message = Buffer.concat([Buffer.of(1, 0), vector(2, content)]);
  return Buffer.concat(cut(message).map((part) => Buffer.concat([Buffer.of(22, 3, 1), vector(2, part)])));
}

const sni = (name: string, type = 0): Buffer =>
  extension(0, vector(2, Buffer.of(type), vector(2, Buffer.from(name, "latin1"))));
const protocols = (...names: readonly string[]): Buffer =>
  extension(16, vector(2, ...names.map((name) => vector(1, Buffer.from(name, "latin1")))));

test("the hellos of OpenSSL, Node and Bun say whom they ask for, and with which protocols", async () => {
  assert.deepEqual(read(openSsl), acme);
  assert.deepEqual(read(unnamed), nobody);
  assert.deepEqual(read(boring), nobody);
  const large = await capture({ servername: "Relay.example", ALPNProtocols: ["h2", "http/1.1"] });
  assert.deepEqual(read(large), {
    kind: "hello",
    servername: "Relay.example", // To the letter: case is for others to judge.
    alpn: ["h2", "http/1.1"],
  });
});

test("a hello may come in two pieces at any byte, or byte by byte", async () => {
  const large = await capture({ servername: "relay.example" });
  for (const hello of [openSsl, unnamed, boring, large]) {
    const whole = read(hello);
    for (let at = 1; at < hello.length; at++) {
      assert.deepEqual(read(hello.subarray(0, at)), { kind: "partial" }, `${at} bytes`);
      assert.deepEqual(read(hello.subarray(0, at), hello.subarray(at)), whole, `split at ${at}`);
    }
    assert.deepEqual(read(...[...hello].map((byte) => Buffer.of(byte))), whole);
  }
});

test("a hello may be spread over TLS records, cut at any byte", () => {
  const parts = [sni("relay.example"), protocols("acme-tls/1")];
  const whole: HelloReading = { kind: "hello", servername: "relay.example", alpn: ["acme-tls/1"] };
  assert.deepEqual(read(build(parts)), whole);
  const { length } = build(parts);
  for (let at = 1; at < length - 5; at++) {
    const hello = build(parts, (message) => [message.subarray(0, at), message.subarray(at)]);
    assert.deepEqual(read(hello), whole, `cut at ${at}`);
    assert.deepEqual(read(hello.subarray(0, 5 + at)), { kind: "partial" });
  }
  const tiny = build(parts, (message) => [...message].map((byte) => Buffer.of(byte)));
  assert.deepEqual(read(tiny), whole);
});

test("GREASE and whatever else is not known is passed over (RFC 8701)", () => {
  const hello = build([
    extension(0x0a0a, Buffer.alloc(0)),
    sni("relay.example"),
    extension(0xfafa, Buffer.alloc(300, 1)),
    protocols("\x8a\x8a", "acme-tls/1"),
    extension(0x5a5a, Buffer.of(0)),
  ]);
  assert.deepEqual(read(hello), {
    kind: "hello",
    servername: "relay.example",
    alpn: ["\x8a\x8a", "acme-tls/1"],
  });
});

test("an empty name, and one of another type, is none", () => {
  assert.deepEqual(read(build([sni("")])), nobody);
  assert.deepEqual(read(build([sni("relay.example", 7)])), nobody);
});

test("what follows a hello changes nothing", () => {
  const reader = createHelloReader();
  assert.deepEqual(reader.push(openSsl), acme);
  assert.deepEqual(reader.push(Buffer.of(20, 3, 3, 0, 1, 1)), acme);
  assert.equal(reader.bytes.length, openSsl.length + 6);
});

test("what is no TLS is told at once, and so is TLS that begins with something else", () => {
  const others = {
    http: Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    oneByte: Buffer.of(0),
    alert: Buffer.of(21, 3, 3, 0, 2, 2, 40),
    "SSL 2": Buffer.of(0x80, 0x2e, 1, 0, 2),
    "another version": Buffer.of(22, 2),
    "an empty record": Buffer.of(22, 3, 1, 0, 0),
    "another message": Buffer.of(22, 3, 1, 0, 4, 2, 0, 0, 1),
    "an alert in the middle": Buffer.concat([
      openSsl.subarray(0, 3),
      vector(2, openSsl.subarray(5, 50)),
      Buffer.of(21),
    ]),
    "too long a message": Buffer.of(22, 3, 1, 0, 4, 1, 0, 0x40, 1),
  };
  for (const [name, bytes] of Object.entries(others))
    assert.deepEqual(read(bytes), { kind: "foreign" }, name);
});

test("a length that leads out of the hello makes it foreign, never an error", () => {
  for (let at = 9; at < openSsl.length; at++) {
    const broken = Buffer.from(openSsl);
    broken[at] = 255;
    const { kind } = read(broken);
    assert.ok(kind === "hello" || kind === "foreign", `${kind} with byte ${at} changed`);
  }
});

test("a hello that is not whole within its limit is waited for no longer", () => {
  const record = Buffer.concat([Buffer.of(22, 3, 1), vector(2, Buffer.of(1, 0, 0x3f, 0xff))]);
  const one = Buffer.concat([Buffer.of(22, 3, 1), vector(2, Buffer.of(0))]);
  const reader = createHelloReader();
  let reading = reader.push(record);
  while (reading.kind === "partial") reading = reader.push(one);
  assert.deepEqual(reading, { kind: "foreign" });
  assert.ok(reader.bytes.length >= maxHelloBytes && reader.bytes.length < maxHelloBytes + one.length);
});

test("random bytes, also behind a good beginning, end in an answer", () => {
  const beginning = fc.nat(openSsl.length).map((length) => openSsl.subarray(0, length));
  const bytes = fc.tuple(beginning, fc.uint8Array({ maxLength: 400 }));
  fc.assert(
    fc.property(bytes, fc.nat(400), ([start, rest], at) => {
      const all = Buffer.concat([start, rest]);
      assert.deepEqual(read(all.subarray(0, at), all.subarray(at)), read(all));
    }),
  );
});
