/** What ours makes of a request to upgrade, beside derper: greeted with 101, greeted at once, or answered otherwise. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameType } from "../../relay/protocol/frame.ts";
import { get, openTls } from "./http.ts";
import { Ended, Incoming } from "./incoming.ts";
import { type RelayUnderTest, whyMissing } from "./relay-under-test.ts";
import { shared } from "./suite.ts";

interface Row {
  readonly request: string;
  /** What ours does otherwise, and why: docs/derper.md. */
  readonly ours?: readonly [why: string, is: string];
}

const derp = "Upgrade: DERP";
const connection = "Connection: Upgrade";
const upgrade = (...headers: string[]): string => get("/derp", [derp, connection, ...headers]);
const by = (method: string, ...headers: string[]): string =>
  get("/derp", [derp, connection, ...headers], method);
const to = (target: string): string => get(target, [derp, connection]);
const webSocketHeaders = [
  "Sec-WebSocket-Protocol: derp",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const webSocket = (protocol: string): string =>
  get("/derp", ["Upgrade: websocket", connection, `Sec-WebSocket-Protocol: ${protocol}`]);

const badRequest = "HTTP/1.1 400 Bad Request";
const rows: Readonly<Record<string, Row>> = {
  "a plain one": { request: upgrade() },
  "blanks around the value": { request: get("/derp", ["Upgrade:   derp  ", connection]) },
  "a version behind the name": { request: get("/derp", ["Upgrade: DERP/1", connection]) },
  "a list": { request: get("/derp", ["Upgrade: DERP, websocket", connection]) },
  "two headers, DERP last": { request: get("/derp", ["Upgrade: foo", derp, connection]) },
  "two headers, DERP first": { request: get("/derp", [derp, "Upgrade: foo", connection]) },
  "fast start": { request: upgrade("Derp-Fast-Start: 1") },
  "fast start 1 and 0": {
    request: upgrade("Derp-Fast-Start: 1", "Derp-Fast-Start: 0"),
  },
  "fast start 0 and 1": { request: upgrade("Derp-Fast-Start: 0", "Derp-Fast-Start: 1") },
  "fast start in blanks": { request: upgrade("Derp-Fast-Start:  1 ") },
  "Connection in lower case": { request: get("/derp", [derp, "Connection: upgrade"]) },
  "Connection: close, Upgrade": { request: get("/derp", [derp, "Connection: close, Upgrade"]) },
  "two Connection headers": { request: get("/derp", [derp, "Connection: keep-alive", connection]) },
  "no Connection header": {
    request: get("/derp", [derp]),
    ours: ["Node sees an upgrade only with `Connection: Upgrade`", "HTTP/1.1 426 Upgrade Required"],
  },
  HEAD: { request: by("HEAD") },
  PUT: { request: by("PUT") },
  OPTIONS: { request: by("OPTIONS") },
  "a method of one's own": {
    request: by("BREW"),
    ours: ["Node's parser does not know the method", badRequest],
  },
  "a body": { request: `${by("POST", "Content-Length: 5")}abcde` },
  "Content-Length and Transfer-Encoding": {
    request: `${by("POST", "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`,
    ours: ["nobody is to find a request within a request", badRequest],
  },
  "Expect: 100-continue": { request: upgrade("Expect: 100-continue") },
  "a URL as target": { request: to("https://relay.example/derp") },
  "an encoded letter": { request: to("/%64erp") },
  "/derp/": { request: to("/derp/") },
  "//derp": { request: to("//derp") },
  "/derp#x": { request: to("/derp#x") },
  "no Host": {
    request: `GET /derp HTTP/1.1\r\n${derp}\r\n${connection}\r\n\r\n`,
  },
  "20 KB of header": {
    request: upgrade(`Cookie: ${"x".repeat(20_000)}`),
    ours: ["16 KiB of head are enough", "HTTP/1.1 431 Request Header Fields Too Large"],
  },
  "WebSocket, with another Upgrade behind it": {
    request: get("/derp", ["Upgrade: websocket", "Upgrade: foo", connection, ...webSocketHeaders]),
    ours: ["the library `ws` looks at both", badRequest],
  },
  "WebSocket, at an encoded path": {
    request: get("/%64erp", ["Upgrade: websocket", connection, ...webSocketHeaders]),
  },
  "WebSocket, another protocol": { request: webSocket("chat") },
  "WebSocket without a key": {
    request: webSocket("derp"),
  },
  "WebSocket, protocol derp2": {
    request: webSocket("derp2"),
  },
};

for (const kind of ["node", "bun"] as const) {
  const skip = whyMissing("derper") ?? whyMissing(kind) ?? false;
  describe(`upgrades of ours on ${kind} are derper's`, { skip }, () => {
    for (const [name, { request, ours }] of Object.entries(rows)) {
      test(name, async () => {
        const [why, is] = ours ?? ["as derper", await outcome(await shared("derper"), request)];
        assert.equal(await outcome(await shared(kind), request), is, why);
      });
    }
  });
}

/** What the first bytes of the answer say. */
async function outcome(relay: RelayUnderTest, request: string): Promise<string> {
  const socket = await openTls(relay);
  const incoming = new Incoming(socket);
  try {
    socket.write(request, "latin1");
    const byte = await incoming.take(1);
    if (byte[0] === FrameType.serverKey) return "ServerKey at once";
    const [line = ""] = (
      byte.toString("latin1") + (await incoming.takeThrough("\r\n")).toString("latin1")
    ).split("\r\n");
    return line;
  } catch (error) {
    if (error instanceof Ended) return "closed";
    throw error;
  } finally {
    socket.destroy();
  }
}
