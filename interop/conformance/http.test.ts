/** Statements 10 to 17, 24 to 26, 28 to 31 and 33: HTTP, up to the first frame of DERP. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { FrameType, headerLength, keyLength, magic } from "../../relay/protocol/frame.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { encodeSendPacket } from "../../relay/protocol/writer.ts";
import { clientInfo, Client, join, type Place, say, upgrade, upgradeRequest, usualInfo } from "./client.ts";
import { type Answer, ask, get, headerOf, openTcp, openTls, readAnswer } from "./http.ts";
import { Incoming } from "./incoming.ts";
import { refusal } from "./relay-under-test.ts";
import { ownFiles, perRelay, statement } from "./suite.ts";

const probes = ["/derp/probe", "/derp/latency-check"];
const textType = "text/plain; charset=utf-8";
const browserHeaders = {
  "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
  "Content-Security-Policy":
    "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; block-all-mixed-content; object-src 'none'",
  "X-Frame-Options": "DENY",
  "X-Content-Type-Options": "nosniff",
};

statement(
  "10. Given GET or HEAD `/derp/probe` and `/derp/latency-check`, then 200, empty body, `Access-Control-Allow-Origin: *`.",
  async ({ relay }) => {
    for (const path of probes) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await ask(relay, get(path, [], method));
        assert.equal(answer.statusLine, "HTTP/1.1 200 OK");
        assert.equal(answer.body, "");
        assert.equal(headerOf(answer, "Access-Control-Allow-Origin"), "*");
        assert.equal(headerOf(answer, "Content-Security-Policy"), undefined);
      }
    }
  },
);

statement("11. Given POST or OPTIONS on them, then 405 `bogus probe method`.", async ({ relay }) => {
  for (const path of probes) {
    for (const method of ["POST", "OPTIONS"]) {
      expectError(await ask(relay, get(path, [], method)), "405 Method Not Allowed", "bogus probe method");
    }
  }
});

statement(
  "12. Given GET `/derp` without Upgrade or with `Upgrade: foo`, then 426 `DERP requires connection upgrade`.",
  async ({ relay }) => {
    for (const headers of [
      [],
      ["Upgrade: foo"],
      ["Upgrade: foo", "Connection: Upgrade"],
      ["Upgrade: derp2"],
    ]) {
      const answer = await ask(relay, get("/derp", headers));
      expectError(answer, "426 Upgrade Required", "DERP requires connection upgrade");
    }
  },
);

/** The five lines, the blank one, and ServerKey. */
function greeting(key: Buffer): string {
  const head = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: DERP",
    "Connection: Upgrade",
    "Derp-Version: 2",
    `Derp-Public-Key: ${key.toString("hex")}`,
    "\r\n",
  ].join("\r\n");
  return head + serverKey(key).toString("latin1");
}

function serverKey(key: Buffer): Buffer {
  return Buffer.concat([Buffer.of(FrameType.serverKey, 0, 0, 0, magic.length + keyLength), magic, key]);
}

/** Sends a request, and has to be greeted as a native client is. */
async function expectGreeting(place: Place, request: string): Promise<void> {
  const { incoming, socket } = await say(place, request);
  const expected = greeting(place.relay.relayKey);
  assert.equal((await incoming.take(expected.length)).toString("latin1"), expected);
  socket.destroy();
}

statement(
  "13. Given `Upgrade: DERP` (any case), then the exact five-line 101 head and ServerKey right behind it.",
  async (rig) => {
    for (const name of ["DERP", "derp", "DeRp"]) {
      await expectGreeting(rig, get("/derp", [`Upgrade: ${name}`, "Connection: Upgrade"]));
    }
    await expectGreeting(rig, get("/derp?x=1", ["Upgrade: DERP", "Connection: keep-alive, Upgrade"]));
    await expectGreeting(rig, get("/derp", ["Upgrade: DERP", "Connection: Upgrade"], "POST"));
  },
);

statement(
  "14. Given `Derp-Public-Key`, then it equals the ServerKey key and the meta-certificate key.",
  async ({ t, relay }) => {
    const { socket, incoming } = await say({ t, relay }, upgradeRequest());
    const answer = await readAnswer(incoming, "GET");
    const frame = await incoming.take(headerLength + magic.length + keyLength);
    const header = headerOf(answer, "Derp-Public-Key");
    assert.equal(frame.toString("hex", headerLength + magic.length), header);
    let last = socket.getPeerX509Certificate();
    while (last?.issuerCertificate !== undefined) last = last.issuerCertificate;
    assert.equal(last?.subject, `CN=derpkey${header}`);
  },
);

statement(
  "15. Given `Derp-Fast-Start: 1`, then the first byte received is `01` (ServerKey), no HTTP bytes. Given value `true` or `0`, then normal 101.",
  async (rig) => {
    const { incoming } = await say(rig, upgradeRequest(["Derp-Fast-Start: 1"]));
    const expected = serverKey(rig.relay.relayKey);
    assert.deepEqual(await incoming.take(expected.length), expected);
    for (const value of ["true", "0", "11", ""])
      await expectGreeting(rig, upgradeRequest([`Derp-Fast-Start: ${value}`]));
  },
);

statement(
  "16. Given request head, ClientInfo and a SendPacket in one TCP segment (fast start), then all are processed.",
  async (rig) => {
    const bob = await join(rig);
    const privateKey = generatePrivateKey();
    const segment = Buffer.concat([
      Buffer.from(upgradeRequest(["Derp-Fast-Start: 1"]), "latin1"),
      clientInfo(rig.relay.relayKey, privateKey, usualInfo),
      encodeSendPacket(bob.key, Buffer.from("at once")),
    ]);
    const { socket, incoming } = await say(rig, segment);
    const alice = new Client(socket, incoming, privateKey);
    await bob.receives(alice, "at once");
    assert.equal((await alice.next()).type, FrameType.serverKey);
    assert.equal((await alice.next()).type, FrameType.serverInfo);
    await alice.hearsNothing();
  },
);

statement(
  "16. Given a request with a body, then the body is the first bytes of DERP; what is no ClientInfo closes.",
  async (rig) => {
    const request = get("/derp", ["Upgrade: DERP", "Connection: Upgrade", "Content-Length: 5"], "POST");
    const { incoming } = await say(rig, `${request}abcde`);
    const expected = greeting(rig.relay.relayKey);
    assert.equal((await incoming.takeRest()).toString("latin1"), expected);
  },
);

statement(
  "17. Given `Upgrade: websocket` without subprotocol `derp`, then native 101 with `Upgrade: DERP`.",
  async (rig) => {
    await expectGreeting(rig, get("/derp", ["Upgrade: websocket", "Connection: Upgrade"]));
    const protocol = "Sec-WebSocket-Protocol: chat";
    await expectGreeting(rig, get("/derp", ["Upgrade: WebSocket", "Connection: Upgrade", protocol]));
  },
);

const cacheControl = "no-cache, no-store, must-revalidate, no-transform, max-age=0";

statement(
  "24. Given `/generate_204` without challenge, then 204 with the exact Cache-Control and no response header.",
  async ({ relay }) => {
    for (const method of ["GET", "POST", "HEAD"]) {
      const answer = await ask(relay, get("/generate_204", [], method));
      assert.equal(answer.statusLine, "HTTP/1.1 204 No Content");
      assert.equal(headerOf(answer, "Cache-Control"), cacheControl);
      assert.equal(headerOf(answer, "X-Tailscale-Response"), undefined);
    }
  },
);

statement(
  "25. Given challenges `input`, `ts_derp99b.tailscale.com`, then `response <challenge>`; given `foo bar`, 65 × `x`, then no `X-Tailscale-Response`; 64 × `x` is answered.",
  async ({ relay }) => {
    const respond = async (challenge: string): Promise<string | undefined> =>
      headerOf(
        await ask(relay, get("/generate_204", [`X-Tailscale-Challenge: ${challenge}`])),
        "X-Tailscale-Response",
      );
    for (const challenge of [
      "input",
      "ts_derp99b.tailscale.com",
      "ts_[::1]:8080".replaceAll(/[[\]]/g, ""),
      "x".repeat(64),
    ]) {
      assert.equal(await respond(challenge), `response ${challenge}`);
    }
    for (const challenge of ["foo bar", "x".repeat(65), "a/b", "a\xe9", ""]) {
      assert.equal(await respond(challenge), undefined);
    }
  },
);

statement(
  "26. Given `/`, then 200 HTML with the four browser headers; `/robots.txt` likewise with its two lines; unknown paths behave like `/`.",
  async ({ relay }) => {
    const home = await ask(relay, get("/"));
    assert.match(home.body, /DERP/);
    for (const path of ["/", "/derp/", "/derp/x", "/favicon.ico"]) {
      const answer = await ask(relay, get(path));
      assert.equal(answer.statusLine, "HTTP/1.1 200 OK");
      assert.equal(answer.body, home.body);
      assert.equal(headerOf(answer, "Content-Type"), "text/html; charset=utf-8");
      expectBrowserHeaders(answer);
    }
    const robots = await ask(relay, get("/robots.txt"));
    assert.equal(robots.body, "User-agent: *\nDisallow: /\n");
    assert.equal(headerOf(robots, "Content-Type"), textType);
    expectBrowserHeaders(robots);
  },
);

statement(
  "27. Given the home page, then the abuse block, the disabled line and the debug link appear only as described.",
  async ({ relay }) => {
    const [ours, strangers] = [
      await ask(relay, get("/")),
      await ask(relay, get("/", ["X-Forwarded-For: 192.0.2.1"])),
    ];
    assert.match(ours.body, /href=["']\/debug\/["']/);
    assert.doesNotMatch(strangers.body, /\/debug\//);
    for (const { body } of [ours, strangers]) assert.doesNotMatch(body, /abuse|Status:.*disabled/i);
  },
);

statement(
  "27. Given a production name of Tailscale's as host name, then the home page says where to report abuse.",
  async ({ relay }) => {
    assert.match((await ask(relay, get("/"))).body, /abuse[^]*mailto:security@tailscale\.com/);
  },
  { relay: { hostName: "derp99.tailscale.com" } },
);

statement(
  "28. Given `--home=blank`, then 200 empty HTML.",
  async ({ relay }) => {
    const answer = await ask(relay, get("/"));
    assert.equal(answer.statusLine, "HTTP/1.1 200 OK");
    assert.equal(answer.body, "");
    assert.equal(headerOf(answer, "Content-Type"), "text/html; charset=utf-8");
    expectBrowserHeaders(answer);
  },
  { relay: { flags: { home: "blank" } } },
);

statement(
  "28. Given `--home=https://x/`, then 302.",
  async ({ relay }) => {
    for (const path of ["/", "/anything?x=1"]) {
      const answer = await ask(relay, get(path));
      assert.equal(answer.statusLine, "HTTP/1.1 302 Found");
      assert.equal(headerOf(answer, "Location"), "https://x/");
      expectBrowserHeaders(answer);
    }
  },
  { relay: { flags: { home: "https://x/" } } },
);

perRelay("28. Given `--home=foo`, then start-up error.", {}, async (t, kind) => {
  assert.equal((await refusal(kind, await ownFiles(t), { flags: { home: "foo" } })).status, 1);
});

statement(
  "29. Given `--derp=false`, then `/derp` is 404 `derp server disabled` and `/derp/probe` still 200.",
  async ({ relay }) => {
    expectError(await ask(relay, upgradeRequest()), "404 Not Found", "derp server disabled");
    expectError(await ask(relay, get("/derp")), "404 Not Found", "derp server disabled");
    assert.equal((await ask(relay, get("/derp/probe"))).statusLine, "HTTP/1.1 200 OK");
    assert.match((await ask(relay, get("/"))).body, /Status:.*disabled/);
  },
  { relay: { flags: { derp: "false" } } },
);

statement(
  "30. Given port 80: `/generate_204` 204, `/foo?x=1` 302 to `https://<Host header>/foo?x=1`, POST 400 `Use HTTPS`, `/debug/` served to loopback.",
  async ({ t, relay }) => {
    assert.ok(relay.httpPort !== undefined, "there is no plain HTTP");
    const socket = await openTcp(relay.httpPort);
    t.after(() => socket.destroy());
    const incoming = new Incoming(socket);
    const asked = async (request: string): Promise<Answer> => {
      socket.write(request);
      return await readAnswer(incoming, request.split(" ", 1)[0] ?? "");
    };
    assert.equal((await asked(get("/generate_204"))).statusLine, "HTTP/1.1 204 No Content");
    const redirect = await asked("GET /foo?x=1 HTTP/1.1\r\nHost: relay.example:8080\r\n\r\n");
    assert.equal(redirect.statusLine, "HTTP/1.1 302 Found");
    assert.equal(headerOf(redirect, "Location"), "https://relay.example:8080/foo?x=1");
    expectError(await asked(get("/foo", ["Content-Length: 0"], "POST")), "400 Bad Request", "Use HTTPS");
    assert.equal(
      (await asked(get("/derp", ["Upgrade: DERP", "Connection: Upgrade"]))).statusLine,
      "HTTP/1.1 302 Found",
    );
    for (const [target, location] of [
      ["/%64erp/a%2Fb?%zz", "https://relay.example/%64erp/a%2Fb?%zz"],
      ["//foo", "/foo"],
    ] as const)
      assert.equal(headerOf(await asked(get(target)), "Location"), location);
    assert.equal((await asked(get("/debugging"))).statusLine, "HTTP/1.1 200 OK");
    const debug = await asked(get("/debug/"));
    assert.equal(debug.statusLine, "HTTP/1.1 200 OK");
    assert.equal((await asked(get("/"))).statusLine, "HTTP/1.1 302 Found");
  },
);

statement("31. Given CONNECT over TLS without ACE, then 403 `CONNECT not enabled`.", async ({ relay }) => {
  for (const target of ["example.com:443", "derp.tailscale.com:80"]) {
    expectError(await ask(relay, get(target, [], "CONNECT")), "403 Forbidden", "CONNECT not enabled");
  }
});

statement(
  "31. Given CONNECT over TLS with ACE to another port, another domain or a relay, then 403 `Invalid CONNECT target`.",
  async ({ relay }) => {
    for (const target of [
      "controlplane.tailscale.com:8443",
      "example.com:443",
      "tailscale.com:443",
      "derp1.tailscale.com:443",
      "CONTROLPLANE.TAILSCALE.COM:80",
      "controlplane.tailscale.com",
    ]) {
      const answer = await ask(relay, get(target, [], "CONNECT"));
      expectError(answer, "403 Forbidden", "Invalid CONNECT target");
    }
  },
  { relay: { flags: { ace: "true" } } },
);

statement(
  "33. Given a client that connects and sends nothing, then it is closed after 10 s.",
  async (rig) => {
    const started = performance.now();
    const connection = await upgrade(rig);
    assert.deepEqual(await closesWithin(connection.socket, 14_000), []);
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds >= 9.9 && seconds < 12, `${seconds} s`);
  },
  { slow: true },
);

statement(
  "33. Given a connection before the upgrade that sends nothing, then it is closed after 15 s (derper: 30 s).",
  async ({ t, relay, differs }) => {
    const started = performance.now();
    const socket = await openTls(relay);
    t.after(() => socket.destroy());
    const limit = differs("limits", { derper: 30, ours: 15 });
    assert.deepEqual(await closesWithin(socket, (limit + 5) * 1_000), []);
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds >= limit - 0.1 && seconds < limit + 3, `${seconds} s`);
  },
  { slow: true },
);

/** Waits for the other side to end. @returns what it still sent */
async function closesWithin(socket: TLSSocket, ms: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end", { signal: AbortSignal.timeout(ms) });
  return chunks;
}

/** As Go's `http.Error` writes it. */
function expectError(answer: Answer, status: string, message: string): void {
  assert.equal(answer.statusLine, `HTTP/1.1 ${status}`);
  assert.equal(answer.body, `${message}\n`);
  assert.equal(headerOf(answer, "Content-Type"), textType);
  assert.equal(headerOf(answer, "X-Content-Type-Options"), "nosniff");
}

function expectBrowserHeaders(answer: Answer): void {
  for (const [name, value] of Object.entries(browserHeaders)) assert.equal(headerOf(answer, name), value);
}
