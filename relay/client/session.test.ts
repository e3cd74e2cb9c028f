import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Box } from "../crypto/box.ts";
import { type NodeKey, nodeKey, privateKeyFromSeed } from "../crypto/keys.ts";
import { FrameType, maxFrameToClient } from "../protocol/frame.ts";
import { encodeServerInfo, openClientInfo } from "../protocol/handshake.ts";
import { encodeFrame, encodePeerGone, encodeServerKey, writeHeader } from "../protocol/writer.ts";
import {
  clientPrivate,
  clientPublic,
  fixedNonce,
  relayPrivate,
  relayPublic,
  vectors,
} from "../testing/vectors.ts";
import { ClientSession, type SessionEvent, type SessionOptions } from "./session.ts";

const answer = Buffer.from(
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Version: 2\r\n" +
    `Derp-Public-Key: ${relayPublic.toString("hex")}\r\n\r\n`,
);
const info = { version: 2, canAckPings: true, isProber: false, appName: "" };
const bob = nodeKey(Buffer.alloc(32, 0xb0));

/** A session whose writes and events are kept. */
function startSession(options: Partial<SessionOptions> = {}): {
  session: ClientSession;
  writes: Buffer[];
  events: SessionEvent[];
} {
  const writes: Buffer[] = [];
  const events: SessionEvent[] = [];
  const session = new ClientSession(
    { hostName: "relay.example", privateKey: clientPrivate, nonce: fixedNonce, info, ...options },
    { write: (bytes) => writes.push(bytes), event: (event) => events.push(event) },
  );
  session.start();
  return { session, writes, events };
}

const loggedIn = (headerKey: NodeKey | undefined, serverInfoFirst = true): SessionEvent => ({
  type: "loggedIn",
  facts: {
    headerKey,
    serverKey: relayPublic,
    serverInfo: { version: 2, tokenBucketBytesPerSecond: 0, tokenBucketBytesBurst: 0 },
    serverInfoFirst,
  },
});

test("a client asks for the upgrade and answers ServerKey with the vector's ClientInfo", () => {
  const { session, writes, events } = startSession();
  assert.match(
    writes[0]?.toString() ?? "",
    /^GET \/derp HTTP\/1\.1\r\nHost: relay\.example\r\n[^]*\r\n\r\n$/,
  );
  session.receive(Buffer.concat([answer, vectors.serverKey]));
  assert.deepEqual(writes[1], vectors.clientInfo);
  session.receive(vectors.serverInfo);
  assert.deepEqual(events, [loggedIn(relayPublic)]);
});

test("with fast start ClientInfo leaves with the request, and ServerKey gets no second one", () => {
  const { session, writes, events } = startSession({ fastStartKey: relayPublic });
  const first = writes[0] ?? Buffer.alloc(0);
  assert.match(first.toString("latin1"), /\r\nDerp-Fast-Start: 1\r\n/);
  assert.deepEqual(first.subarray(first.indexOf("\r\n\r\n") + 4), vectors.clientInfo);
  session.receive(Buffer.concat([vectors.serverKey, vectors.serverInfo]));
  assert.equal(writes.length, 1);
  assert.deepEqual(events, [loggedIn(undefined)]);
});

test("a stream that is cut at any byte, or into single bytes, gives the same writes and events", () => {
  const stream = Buffer.concat([
    answer,
    vectors.serverKey,
    vectors.serverInfo,
    encodeFrame(FrameType.recvPacket, bob, Buffer.from("hello")),
    encodeFrame(FrameType.ping, Buffer.from("01234567")),
    encodeFrame(0x7f, Buffer.from("from the future")),
    encodePeerGone(bob, 0),
  ]);
  const whole = startSession();
  whole.session.receive(stream);
  assert.deepEqual(whole.events, [
    loggedIn(relayPublic),
    { type: "packet", source: bob, packet: Buffer.from("hello") },
    { type: "ping", payload: Buffer.from("01234567") },
    { type: "peerGone", key: bob, reason: "disconnected" },
  ]);
  assert.deepEqual(whole.writes.at(-1), encodeFrame(FrameType.pong, Buffer.from("01234567")));
  const cuts = Array.from(stream, (_, at) => [stream.subarray(0, at), stream.subarray(at)]);
  for (const chunks of [...cuts, Array.from(stream, (byte) => Buffer.of(byte))]) {
    const { session, writes, events } = startSession();
    for (const chunk of chunks) session.receive(chunk);
    assert.deepEqual({ writes, events }, { writes: whole.writes, events: whole.events });
  }
});

test("another frame before ServerInfo is told, and does no harm", () => {
  const { session, events } = startSession();
  session.receive(
    Buffer.concat([answer, vectors.serverKey, encodeFrame(FrameType.keepAlive), vectors.serverInfo]),
  );
  assert.deepEqual(events, [{ type: "keepAlive" }, loggedIn(relayPublic, false)]);
});

test("the client's ClientInfo opens at the relay and says what it was given", () => {
  const { session, writes } = startSession({ info: { ...info, isProber: true, appName: "verify" } });
  session.receive(Buffer.concat([answer, vectors.serverKey]));
  const greeting = openClientInfo(writes[1]?.subarray(5) ?? Buffer.alloc(0), relayPrivate);
  assert.deepEqual(greeting?.key, clientPublic);
  assert.deepEqual(greeting?.info, { ...info, isProber: true, appName: "verify" });
});

test("each breach of the protocol ends the session with its reason, and nothing follows", () => {
  const small = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]);
  const announced = Buffer.alloc(5);
  writeHeader(announced, 0, FrameType.recvPacket, maxFrameToClient + 1);
  const foreignBox = Box.between(privateKeyFromSeed(Buffer.alloc(32, 9)), clientPublic) as Box;
  const foreignInfo = encodeServerInfo(foreignBox, fixedNonce);
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.from("SSH-2.0-OpenSSH_9.9\r\n\r\n"), /not HTTP/],
    [Buffer.from("HTTP/1.1 426 Upgrade Required\r\n\r\n"), /HTTP status 426/],
    [Buffer.alloc(20_000, "x"), /no end/],
    [Buffer.concat([answer, vectors.serverInfo]), /type 3 .* no ServerKey/],
    [Buffer.concat([answer, encodeFrame(FrameType.serverKey, Buffer.alloc(39))]), /39 bytes.* no ServerKey/],
    [Buffer.concat([answer, encodeFrame(FrameType.serverKey, Buffer.alloc(40))]), /magic/],
    [Buffer.concat([answer, encodeServerKey(Buffer.alloc(32))]), /key in ServerKey cannot be used/],
    [Buffer.concat([answer, encodeServerKey(small)]), /key in ServerKey cannot be used/],
    [Buffer.concat([answer, vectors.serverKey, foreignInfo]), /ServerInfo does not open/],
    [Buffer.concat([answer, vectors.serverKey, vectors.serverInfo, announced]), /1048577 bytes/],
  ];
  for (const [stream, reason] of cases) {
    const { session, events } = startSession();
    session.receive(stream);
    session.receive(Buffer.concat([answer, vectors.serverKey, vectors.serverInfo]));
    const last = events.at(-1);
    assert.match(last?.type === "failed" ? last.reason : "no failure", reason);
  }
});

test("an HTTP answer to fast start is called by its name", () => {
  const { session, events } = startSession({ fastStartKey: relayPublic });
  session.receive(answer);
  assert.deepEqual(events, [
    { type: "failed", reason: "the relay answered with HTTP, although fast start asks for none" },
  ]);
});

test("a meta certificate with an unusable key ends the session before anything is written", () => {
  const { writes, events } = startSession({ fastStartKey: nodeKey(Buffer.alloc(32)) });
  assert.deepEqual(writes, []);
  assert.deepEqual(
    events.map(({ type }) => type),
    ["failed"],
  );
});

test("no bytes of a relay make a session throw", () => {
  const begin = fc.constantFrom(
    Buffer.alloc(0),
    answer,
    Buffer.concat([answer, vectors.serverKey]),
    Buffer.concat([answer, vectors.serverKey, vectors.serverInfo]),
  );
  fc.assert(
    fc.property(begin, fc.array(fc.uint8Array({ maxLength: 200 })), (start, chunks) => {
      const { session } = startSession();
      session.receive(start);
      for (const chunk of chunks) session.receive(Buffer.from(chunk));
      assert.notEqual(session.waitingFor, "");
    }),
  );
});

test("what the end of the stream means depends on what is due", () => {
  const { session } = startSession();
  assert.match(session.meaningOfEnd, /instead of answering the upgrade/);
  session.receive(answer);
  assert.match(session.meaningOfEnd, /instead of sending ServerKey/);
  session.receive(vectors.serverKey);
  assert.match(session.meaningOfEnd, /does not admit/);
  session.receive(vectors.serverInfo);
  assert.equal(session.meaningOfEnd, "the relay closed the connection");
});
