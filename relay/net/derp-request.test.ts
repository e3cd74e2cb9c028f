import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { headOf } from "./http-messages.ts";
import { recogniseDerpRequest } from "./derp-request.ts";

/** As Go's client writes it. */
const lines = [
  "GET /derp HTTP/1.1",
  "Host: derp.example.com",
  "User-Agent: Go-http-client/1.1",
  "Connection: Upgrade",
  "Derp-Fast-Start: 1",
  "Upgrade: DERP",
  "",
  "",
];
const request = Buffer.from(lines.join("\r\n"), "latin1");

/** The request with a line in the place of another. */
const replaced = (at: number, line: string): Buffer =>
  Buffer.from(lines.with(at, line).join("\r\n"), "latin1");

test("a Tailscale client's request is recognised, and what comes behind it is not its own", () => {
  const found = recogniseDerpRequest(Buffer.concat([request, Buffer.of(2, 0, 0, 0)]));
  assert.deepEqual(found, {
    length: request.length,
    head: {
      method: "GET",
      target: "/derp",
      version: "1.1",
      rawHeaders: lines.slice(1, -2).flatMap((line) => line.split(": ")),
    },
  });
});

test("whatever else is left to the HTTP server", () => {
  for (const bytes of [
    request.subarray(0, -1),
    replaced(0, "GET /derp HTTP/1.0"),
    replaced(0, "GET /derp/ HTTP/1.1"),
    replaced(0, "GET /derp?x HTTP/1.1"),
    replaced(0, "POST /derp HTTP/1.1"),
    replaced(2, "Content-Length: 4"),
    replaced(2, "Transfer-Encoding: chunked"),
    replaced(2, "Expect: 100-continue"),
    replaced(2, "Host: other.example.com"),
    replaced(2, "User-Agent:  two blanks"),
    replaced(2, "User-Agent: blank at the end "),
    replaced(2, "User-Agent : x"),
    replaced(2, " folded"),
    replaced(2, `A: ${"x".repeat(2_048)}`),
    replaced(3, "Connection: keep-alive, Upgrade"),
    replaced(5, "Upgrade: websocket"),
    Buffer.from(lines.join("\n"), "latin1"),
    Buffer.alloc(0),
  ]) {
    assert.equal(recogniseDerpRequest(bytes), undefined, bytes.toString("latin1"));
  }
});

test("what is recognised, Node's parser reads alike", async (t) => {
  const server = createServer({ requireHostHeader: false }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  // Most bytes of a request may be another printable one, and hardly any may be one that is not.
  const anyByte = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) }, fc.nat(255));
  const changes = fc.array(fc.record({ at: fc.nat(request.length - 1), byte: anyByte }), {
    minLength: 1,
    maxLength: 3,
  });
  let recognised = 0;
  const property = fc.asyncProperty(changes, async (script) => {
    const bytes = Buffer.from(request);
    for (const { at, byte } of script) bytes[at] = byte;
    const found = recogniseDerpRequest(bytes);
    if (found === undefined) return;
    recognised++;
    const upgraded = once(server, "upgrade") as Promise<[IncomingMessage, Duplex, Buffer]>;
    const client = connect(port, "127.0.0.1");
    client.end(bytes);
    const [message, socket, head] = await upgraded;
    assert.deepEqual(headOf(message), found.head);
    assert.equal(head.length, bytes.length - found.length);
    socket.destroy();
    client.destroy();
  });
  await fc.assert(property, { numRuns: 2_000 });
  assert.ok(recognised > 100, `${recognised} of 2,000 were recognised: the test proves less than it says`);
});
