import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { DerpNode } from "../../infra/derpmap/derp-map.ts";
import { generatePrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { createTrust } from "../../relay/client/transport.ts";
import { encodeFrame } from "../../relay/protocol/writer.ts";
import { FrameType, headerLength, keyLength, magic, maxPacket } from "../../relay/protocol/frame.ts";
import { type RunningRelay, startTestRelay } from "../../relay/testing/running-relay.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { type CheckName, checkNames, type CheckResult } from "./check.ts";
import type { NodeResult } from "./node.ts";
import { readRelayKey } from "./relay-key.ts";
import { nodeOf } from "./testing/derp-node.ts";
import { type Meddling, startMeddler } from "./testing/meddler.ts";
import { listenTcp, listenUdp } from "./testing/servers.ts";
import { judge, verifyNodes, type VerifyOptions } from "./verify.ts";

async function verifyNode(
  t: TestContext,
  node: DerpNode,
  options: Partial<VerifyOptions> = {},
): Promise<NodeResult> {
  const [result] = await verifyNodes([{ node, region: "alfa" }], { signal: t.signal, ...options });
  assert.ok(result);
  return result;
}

const namesOf = (result: NodeResult, status: CheckResult["status"]): CheckName[] =>
  result.checks.filter((check) => check.status === status).map(({ name }) => name);
const detailOf = (result: NodeResult, name: CheckName): string =>
  result.checks.find((check) => check.name === name)?.detail ?? "no such check";

test("every check passes on a relay that is right", async (t) => {
  const progress: CheckName[] = [];
  const target = { node: nodeOf(await startTestRelay(t)), region: "alfa" };
  const results = await verifyNodes([target], { signal: t.signal }, (_, { name }) => progress.push(name));
  assert.deepEqual(
    results.map((result) => [result.name, result.region, namesOf(result, "passed")]),
    [["901a", "alfa", checkNames.filter((name) => !name.endsWith("-ipv6"))]],
  );
  assert.deepEqual(progress.sort(), results[0]?.checks.map(({ name }) => name).sort());
  assert.deepEqual(judge(results), { ok: true, gaps: [] });
});

test("a detour leads elsewhere over TCP and UDP, and each address of the map is a family to check", async (t) => {
  const { derpPort, stunPort, ...relay } = await startTestRelay(t);
  const node = nodeOf(
    { ...relay, derpPort: 443, stunPort: 3478 },
    { IPv4: "192.0.2.1", IPv6: "2001:db8::1" },
  );
  const detours = ["192.0.2.1", "2001:db8::1"].flatMap((host) => [
    { from: { host, port: 443 }, to: { host: "127.0.0.1", port: derpPort } },
    { from: { host, port: 3478 }, to: { host: "127.0.0.1", port: stunPort } },
  ]);
  const result = await verifyNode(t, node, { detours });
  assert.deepEqual(namesOf(result, "passed"), checkNames);
  assert.deepEqual(judge([result], ["ipv4", "ipv6"]), { ok: true, gaps: [] });
});

test("a detour from a host name serves the family that it leads to, and no DNS is asked", async (t) => {
  const { derpPort, stunPort, ...relay } = await startTestRelay(t);
  const node = nodeOf({ ...relay, derpPort: 443, stunPort: 3478 }, { IPv4: "", IPv6: "" });
  const detours = [
    { from: { host: relay.hostName, port: 443 }, to: { host: "127.0.0.1", port: derpPort } },
    { from: { host: relay.hostName, port: 3478 }, to: { host: "127.0.0.1", port: stunPort } },
  ];
  const result = await verifyNode(t, node, { detours });
  assert.deepEqual(namesOf(result, "untested"), ["tls-ipv6", "derp-login-ipv6", "stun-ipv6"]);
  assert.match(
    detailOf(result, "tls-ipv6"),
    /--connect-to leads from relay\.derpkit\.internal to no IPv6 address/,
  );
  assert.equal(judge([result]).ok, true);
});

test("a family without a route from here is untested, which is a gap only where it is required", async (t) => {
  // A link-local address without its link leads nowhere on every machine.
  const result = await verifyNode(t, nodeOf(await startTestRelay(t), { IPv6: "fe80::1" }));
  assert.deepEqual(namesOf(result, "untested"), ["tls-ipv6", "derp-login-ipv6", "stun-ipv6"]);
  assert.match(detailOf(result, "tls-ipv6"), /no IPv6 route from here to fe80::1/);
  assert.equal(judge([result]).ok, true);
  assert.deepEqual(judge([result], ["ipv4", "ipv6"]), {
    ok: false,
    gaps: ["901a could not be tested over ipv6, which is required"],
  });
});

test("a node that the map gives no address of either family fails", async (t) => {
  const result = await verifyNode(t, nodeOf(await startTestRelay(t), { IPv4: "none", IPv6: "none" }));
  assert.equal(judge([result]).ok, false);
  assert.match(detailOf(result, "packet"), /no address of either family/);
});

test("a STUN-only node is asked for STUN and nothing else", async (t) => {
  const relay = await startTestRelay(t);
  const result = await verifyNode(t, nodeOf(relay, { STUNOnly: true, DERPPort: 9 }));
  assert.deepEqual(
    result.checks.map(({ name, status }) => `${name} ${status}`),
    ["stun-ipv4 passed"],
  );
  assert.deepEqual(judge([result]), { ok: true, gaps: [] });
  const mute = await verifyNode(t, nodeOf(relay, { STUNOnly: true, STUNPort: -1 }));
  assert.deepEqual(judge([mute]), {
    ok: false,
    gaps: ["901a could not be tested over ipv4, which is required"],
  });
});

test("nothing verified is not good", () => {
  assert.equal(judge([]).ok, false);
});

test("a map that leads to nowhere on earth fails its checks and ends nothing else", async (t) => {
  const relay = await startTestRelay(t);
  const strange = [{ HostName: "a\r\nb" }, { HostName: "a b/c" }, { IPv4: "0.0.0.0", DERPPort: 1 }];
  const targets = strange.map((fields) => ({ node: nodeOf(relay, fields), region: "alfa" }));
  const results = await verifyNodes(targets, { signal: t.signal, timeoutMs: 1_000 });
  assert.deepEqual(
    results.map((result) => result.checks.find(({ name }) => name === "tls-ipv4")?.status),
    ["failed", "failed", "failed"],
  );
});

test("many nodes are verified, and the results are in their order", async (t) => {
  const relay = await startTestRelay(t);
  const names = Array.from({ length: 20 }, (_, index) => `901${String.fromCodePoint(97 + index)}`);
  const targets = names.map((Name) => ({ node: nodeOf(relay, { Name }), region: "alfa" }));
  const results = await verifyNodes(targets, { signal: t.signal });
  assert.deepEqual(
    results.map(({ name }) => name),
    names,
  );
  assert.equal(judge(results).ok, true);
});

test("an expected bundle has to be told, and to be the one", async (t) => {
  const result = await verifyNode(t, nodeOf(await startTestRelay(t)), {
    expectedOf: () => ({ bundle: "ab".repeat(32) }),
  });
  assert.deepEqual(namesOf(result, "failed"), ["healthz"]);
  assert.match(detailOf(result, "healthz"), /the bundle is none, and abab/);
});

test("a relay that is meant to let in only those it knows is no fault, and what is behind its door is not tested", async (t) => {
  const admissionList = path.join(temporaryFolder(t), "list.txt");
  await writeFile(admissionList, "# nobody\n");
  const node = nodeOf(await startTestRelay(t, { admissionList }));
  const open = await verifyNode(t, node);
  assert.ok(namesOf(open, "failed").includes("derp-login-ipv4"));
  const closed = await verifyNode(t, node, { closedRegions: new Set(["alfa"]) });
  assert.deepEqual(namesOf(closed, "failed"), []);
  assert.match(detailOf(closed, "derp-login-ipv4"), /^the relay told its key .* and lets in no strangers/);
  assert.deepEqual(judge([closed]), { ok: true, gaps: [] });
});

test("a relay tells its key to whom it lets in and to whom it does not", async (t) => {
  const admissionList = path.join(temporaryFolder(t), "list.txt");
  await writeFile(admissionList, "# nobody\n");
  for (const options of [{}, { admissionList }]) {
    const relay = await startTestRelay(t, options);
    const target = { node: nodeOf(relay), region: "alfa" };
    assert.deepEqual(await readRelayKey(target, createTrust(), [], t.signal), relay.relay.publicKey);
  }
});

const releases: readonly (readonly [state: string, sequence: number | null, says: RegExp])[] = [
  ["current", null, /at release none, current, and 7 is expected/],
  ["current", 6, /at release 6, current, and 7 is expected/],
  ["updating", 7, /at release 7, updating, and 7 is expected/],
  ["current", 7, /^serving/],
  ["current", 8, /^serving/],
];

for (const [state, sequence, says] of releases) {
  test(`of a node that is at release ${sequence}, ${state}, where 7 is expected, this is said`, async (t) => {
    const updaterStatusFile = path.join(temporaryFolder(t), "updater.json");
    const at = new Date().toISOString();
    const status = { format: 1, state, sequence, version: null, digest: null, refusals: [], at };
    await writeFile(updaterStatusFile, JSON.stringify(status));
    const relay = await startTestRelay(t, { updaterStatusFile });
    const result = await verifyNode(t, nodeOf(relay), { expectedOf: () => ({ sequence: 7 }) });
    assert.match(detailOf(result, "healthz"), says);
  });
}

const badServers: Readonly<Record<string, { answer: (bytes: Buffer) => string | undefined; says: RegExp }>> =
  {
    "that says nothing": { answer: () => undefined, says: /gave up waiting for the TLS handshake/ },
    "that sends garbage": { answer: () => "\u0001\u0002\u0003".repeat(100), says: /TLS handshake failed/ },
    "that speaks plain HTTP": {
      answer: () => "HTTP/1.1 400 Bad Request\r\n\r\n",
      says: /does not speak TLS/,
    },
    "that closes at once": { answer: () => "", says: /closed|disconnected|reset/ },
  };

for (const [what, { answer, says }] of Object.entries(badServers)) {
  test(`a server ${what} fails the TLS check, and nothing else waits for it`, async (t) => {
    const server = createServer((socket) =>
      socket.on("data", (bytes) => {
        const reply = answer(bytes);
        if (reply !== undefined) socket.end(reply, "latin1");
      }),
    );
    const relay = { ...(await startTestRelay(t)), derpPort: await listenTcp(t, server) };
    const result = await verifyNode(t, nodeOf(relay), { timeoutMs: 1_000 });
    assert.match(detailOf(result, "tls-ipv4"), says);
    assert.deepEqual(namesOf(result, "passed"), ["stun-ipv4"]);
    const others = result.checks.filter(({ name }) => name !== "tls-ipv4" && name !== "stun-ipv4");
    for (const { detail, status } of others) {
      assert.deepEqual({ detail, status }, { detail: "not tried: tls-ipv4 failed", status: "failed" });
    }
  });
}

const foreignKey = publicKeyOf(generatePrivateKey());

/**
 * Changes a chunk that begins with a frame of a type. The middle of a large packet may begin with any byte, but hardly
 * with the header of a frame that a relay may send.
 */
const editFrame =
  (type: number, change: (chunk: Buffer) => Buffer) =>
  (chunk: Buffer): Buffer =>
    chunk[0] === type && chunk.length >= headerLength && chunk.readUInt32BE(1) <= keyLength + maxPacket
      ? change(chunk)
      : chunk;

const drop = (): Buffer => Buffer.alloc(0);

/** Changes text in what a relay says, keeping its other bytes. */
const editText =
  (from: RegExp, to: string) =>
  (chunk: Buffer): Buffer =>
    Buffer.from(chunk.toString("latin1").replace(from, to), "latin1");

const unhealthy =
  '{"ok":false,"version":"1","bundle":null,"state":"unhealthy","failing":["derp-login-ipv4","stun-ipv4"]}';

function insertBehindServerKey(chunk: Buffer): Buffer {
  const at = chunk.indexOf(magic);
  const end = at + magic.length + 32;
  return at === -1
    ? chunk
    : Buffer.concat([chunk.subarray(0, end), encodeFrame(FrameType.keepAlive), chunk.subarray(end)]);
}

interface Fault extends Meddling {
  /** Every check that has to fail, and none else. */
  readonly fails: readonly CheckName[];
  /** What the first of them says. */
  readonly says: RegExp;
  readonly timeoutMs?: number;
}

const faults: Readonly<Record<string, Fault>> = {
  "shows an expired certificate": {
    expired: true,
    fails: checkNames.filter((name) => !name.endsWith("-ipv6") && name !== "stun-ipv4"),
    says: /expired on/,
  },
  "shows a certificate too many": {
    stray: true,
    fails: checkNames.filter((name) => !name.endsWith("-ipv6") && name !== "stun-ipv4"),
    says: /this one shows 2/,
  },
  "has no meta certificate": {
    metaKey: null,
    fails: ["meta-certificate", "server-key", "fast-start"],
    says: /none among the certificates/,
  },
  "has another's key in the meta certificate": {
    metaKey: foreignKey,
    fails: ["server-key", "fast-start"],
    says: /the meta certificate has another key/,
  },
  "has another's key in the 101 answer": {
    edit: editText(/(Derp-Public-Key: )[0-9a-f]{64}/, `$1${foreignKey.toString("hex")}`),
    fails: ["server-key"],
    says: /the 101 answer has another key/,
  },
  "has no key in the 101 answer": {
    edit: editText(/Derp-Public-Key: [0-9a-f]{64}\r\n/, ""),
    fails: ["server-key"],
    says: /the 101 answer has no key/,
  },
  "sends another frame before ServerInfo": {
    edit: insertBehindServerKey,
    fails: ["derp-login-ipv4", "server-key", "fast-start", "packet", "transport-secrecy", "ping"],
    says: /another frame came between ServerKey and ServerInfo/,
  },
  "answers fast start with HTTP": {
    edit: editFrame(FrameType.serverKey, (chunk) =>
      Buffer.concat([Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"), chunk]),
    ),
    fails: ["fast-start"],
    says: /answered with HTTP/,
  },
  "refuses the upgrade": {
    edit: editText(/^HTTP\/1\.1 101 [^\r]*/, "HTTP/1.1 426 Upgrade Required"),
    fails: ["derp-login-ipv4", "server-key", "packet", "transport-secrecy", "ping"],
    says: /HTTP status 426/,
  },
  "changes packets": {
    edit: editFrame(FrameType.recvPacket, (chunk) => {
      const changed = Buffer.from(chunk);
      changed.writeUInt8(chunk.readUInt8(chunk.length - 1) ^ 1, chunk.length - 1);
      return changed;
    }),
    fails: ["packet", "transport-secrecy"],
    says: /arrived (changed|with another source key)/,
  },
  "drops packets": {
    edit: editFrame(FrameType.recvPacket, drop),
    fails: ["packet", "transport-secrecy"],
    says: /gave up waiting for a frame/,
    timeoutMs: 2_500,
  },
  "does not answer pings": {
    edit: editFrame(FrameType.pong, drop),
    fails: ["ping"],
    says: /gave up waiting for Pong/,
    timeoutMs: 2_500,
  },
  "hides its probe from browsers": {
    edit: editText(/Access-Control-Allow-Origin: \*/i, "X-Nothing: 1"),
    fails: ["http-probe"],
    says: /Access-Control-Allow-Origin/,
  },
  "answers every page with 500": {
    edit: editText(/^HTTP\/1\.1 20\d [^\r]*/, "HTTP/1.1 500 Internal Server Error"),
    fails: ["http-probe", "http-latency-check", "http-generate-204", "healthz"],
    says: /HTTP status 500, not 200/,
  },
  "says that it is unhealthy": {
    edit: editText(
      /200 OK([^]*)Content-Length: \d+([^]*)\{"ok":true,[^]*$/,
      `503 Service Unavailable$1Content-Length: ${unhealthy.length}$2${unhealthy}`,
    ),
    fails: ["healthz"],
    says: /^HTTP status 503, state unhealthy \(failing: derp-login-ipv4, stun-ipv4\)$/,
  },
  "answers no challenge": {
    edit: editText(/X-Tailscale-Response: response/i, "X-Tailscale-Response: nothing"),
    fails: ["http-generate-204"],
    says: /without the right X-Tailscale-Response/,
  },
};

for (const [what, { fails, says, timeoutMs, ...meddling }] of Object.entries(faults)) {
  test(`a relay that ${what} fails exactly the checks of that`, async (t) => {
    const running = await startTestRelay(t);
    const { port, pin } = await startMeddler(t, running, meddling);
    const node = nodeOf({ ...running, derpPort: port, pin });
    const result = await verifyNode(t, node, timeoutMs === undefined ? {} : { timeoutMs });
    assert.deepEqual(namesOf(result, "failed"), fails);
    assert.match(detailOf(result, fails[0] ?? "ping"), says);
  });
}

test("the wrong pin fails with both pins in words, and no login is tried", async (t) => {
  const pin = `sha256-raw:${"0".repeat(64)}`;
  const result = await verifyNode(t, nodeOf({ ...(await startTestRelay(t)), pin }));
  assert.match(detailOf(result, "tls-ipv4"), /it is sha256-raw:[0-9a-f]{64}, the map says sha256-raw:0{64}/);
  assert.match(detailOf(result, "derp-login-ipv4"), /not tried/);
});

test("silent STUN is excused only if a control is silent too and no other node answers", async (t) => {
  const relay = await startTestRelay(t);
  const silent = { ...relay, stunPort: await listenUdp(t, () => undefined) };
  const statusOf = async (
    nodes: readonly RunningRelay[],
    controlPort: number | undefined,
  ): Promise<unknown> => {
    const targets = nodes.map((running) => ({ node: nodeOf(running), region: "alfa" }));
    const options = { signal: t.signal, timeoutMs: 2_000 };
    const controlStun = { host: "127.0.0.1", port: controlPort ?? 0 };
    const [first] = await verifyNodes(
      targets,
      controlPort === undefined ? options : { ...options, controlStun },
    );
    return first?.checks.find(({ name }) => name === "stun-ipv4")?.status;
  };
  const statuses = await Promise.all([
    statusOf([silent], undefined),
    statusOf([silent], silent.stunPort),
    statusOf([silent], relay.stunPort),
    statusOf([silent, relay], silent.stunPort),
  ]);
  assert.deepEqual(statuses, ["failed", "untested", "failed", "failed"]);
});

test("an aborted run ends, and every check has an outcome", async (t) => {
  const server = createServer(() => {});
  const relay = { ...(await startTestRelay(t)), derpPort: await listenTcp(t, server) };
  const result = await verifyNode(t, nodeOf(relay), { signal: AbortSignal.abort() });
  assert.deepEqual(
    result.checks.map(({ name }) => name),
    checkNames.filter((name) => !name.endsWith("-ipv6")),
  );
  assert.equal(judge([result]).ok, false);
});
