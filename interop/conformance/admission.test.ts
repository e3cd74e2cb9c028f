/** Statements 95 to 101 and 104: who may connect, and how fast. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import timers from "node:timers/promises";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { generatePrivateKey, publicKeyOf, renderNodeKey } from "../../relay/crypto/keys.ts";
import { clientInfo, isLetIn, join, upgrade, usualInfo } from "./client.ts";
import { ask, get, openTls } from "./http.ts";
import { metricsBecome } from "./metrics.ts";
import { refusal, type RelayKind, startRelayUnderTest } from "./relay-under-test.ts";
import { ownFiles, ownRelay, perRelay, statement } from "./suite.ts";

interface Question {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly host: string | undefined;
  readonly body: string;
}

interface Oracle {
  readonly url: string;
  readonly questions: Question[];
  /** What it says from now on. `whois` is the status of what is said to that question of the LocalAPI. */
  readonly answer: { status: number; body: string; whois?: number };
}

/** A server that a relay asks; it answers as told, and notes the questions. */
async function startOracle(
  t: TestContext,
  listen: { readonly path: string } | { readonly port: 0; readonly host: "127.0.0.1" },
): Promise<Oracle> {
  const questions: Question[] = [];
  const answer: Oracle["answer"] = { status: 200, body: "" };
  const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url, headers } = request;
    questions.push({ method, url, host: headers.host, body: await text(request) });
    const status = url?.includes("/whois?") === true ? answer.whois : undefined;
    response.writeHead(status ?? answer.status).end(answer.body);
  };
  const server = createServer((request, response) => void reply(request, response));
  server.listen(listen);
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const url = typeof address === "object" ? `http://127.0.0.1:${address?.port}/verify` : "";
  return { url, questions, answer };
}

/** A relay that asks an oracle in tailscaled's place. */
async function startVerifying(t: TestContext, kind: RelayKind) {
  const files = await ownFiles(t);
  const socket = path.join(files.folder, "tailscaled.sock");
  const oracle = await startOracle(t, { path: socket });
  const relay = await startRelayUnderTest(kind, files, { flags: { "verify-clients": "true", socket } });
  t.after(() => relay.stop());
  return { ...oracle, relay, socket };
}

perRelay(
  "95. Given `-verify-clients` and WhoIs 200 / 404 / 500 / socket missing, then accept / reject / reject / reject; request path and Host as tailscaled's.",
  {},
  async (t, kind) => {
    const { relay, socket, questions, answer } = await startVerifying(t, kind);
    const privateKey = generatePrivateKey();
    answer.body = JSON.stringify({ Node: { ID: 1 }, UserProfile: { ID: 1 } });
    assert.equal(await isLetIn({ t, relay }, { privateKey }), true);
    const [{ method, url, host } = {}] = questions;
    const key = encodeURIComponent(renderNodeKey(publicKeyOf(privateKey)));
    assert.deepEqual([method, url, host], ["GET", `/localapi/v0/whois?addr=${key}`, "local-tailscaled.sock"]);
    for (const status of [404, 500]) {
      answer.status = status;
      assert.equal(await isLetIn({ t, relay }), false, `${status}`);
    }
    const missing = await ownRelay(t, kind, {
      flags: { "verify-clients": "true", socket: `${socket}.none` },
    });
    assert.equal(await isLetIn({ t, relay: missing }), false);
  },
);

perRelay(
  "117. Given `-verify-clients`, then `/debug/check` asks tailscaled for its own node: 200 if it is known, 500 if it is not or if tailscaled fails.",
  {},
  async (t, kind) => {
    const { relay, questions, answer } = await startVerifying(t, kind);
    const ownKey = renderNodeKey(publicKeyOf(generatePrivateKey()));
    answer.body = JSON.stringify({
      BackendState: "Running",
      Self: { ID: "n1", PublicKey: ownKey },
      Node: { ID: 1 },
      UserProfile: { ID: 1 },
    });
    const check = async (): Promise<readonly [string, string]> => {
      const { statusLine, body } = await ask(relay, get("/debug/check"));
      return [statusLine, body];
    };
    assert.deepEqual(await check(), ["HTTP/1.1 200 OK", "derp.Server ConsistencyCheck okay"]);
    assert.deepEqual(
      questions.map(({ method, url, host }) => [method, url, host]),
      ["status?peers=false", `whois?addr=${encodeURIComponent(ownKey)}`].map((asked) => [
        "GET",
        `/localapi/v0/${asked}`,
        "local-tailscaled.sock",
      ]),
    );
    for (const change of [{ whois: 404 }, { whois: 500 }, { whois: 200, status: 403 }]) {
      Object.assign(answer, change);
      const [statusLine, body] = await check();
      assert.equal(statusLine, "HTTP/1.1 500 Internal Server Error");
      assert.match(body, /tailscaled|localClient|self nodekey/);
    }
  },
);

perRelay(
  '96. Given `-verify-client-url` answering `{"Allow":true}`, `{"Allow":false}`, `{}`, 403, invalid JSON, then accept, reject × 4 even with fail-open.',
  {},
  async (t, kind) => {
    const { url, answer } = await startOracle(t, { port: 0, host: "127.0.0.1" });
    const relay = await ownRelay(t, kind, { flags: { "verify-client-url": url } });
    const cases = [
      [200, '{"Allow":true}', true],
      [200, '{"allow":true,"More":1}', true],
      [200, '{"Allow":false}', false],
      [200, "{}", false],
      [403, '{"Allow":true}', false],
      [204, "", false],
      [200, '{"Allow":', false],
      [200, '{"Allow":"true"}', false],
      [200, `{"Padding":"${"x".repeat(4_096)}","Allow":true}`, false],
    ] as const;
    for (const [status, body, admitted] of cases) {
      Object.assign(answer, { status, body });
      assert.equal(await isLetIn({ t, relay }), admitted, `${status} ${body.slice(0, 40)}`);
    }
  },
);

perRelay(
  "97. Given that URL unreachable, then accept with fail-open (default), reject without.",
  {},
  async (t, kind) => {
    const flags = { "verify-client-url": "http://127.0.0.1:1/verify" };
    const open = await ownRelay(t, kind, { flags });
    assert.equal(await isLetIn({ t, relay: open }), true);
    const strict = await ownRelay(t, kind, { flags: { ...flags, "verify-client-url-fail-open": "false" } });
    assert.equal(await isLetIn({ t, relay: strict }), false);
  },
);

perRelay(
  "98. Given an IPv4 client on a dual-stack listener, then `Source` is dotted IPv4.",
  {},
  async (t, kind) => {
    const { url, answer, questions } = await startOracle(t, { port: 0, host: "127.0.0.1" });
    answer.body = '{"Allow":true}';
    const relay = await ownRelay(t, kind, { flags: { "verify-client-url": url }, address: "" });
    const privateKey = generatePrivateKey();
    assert.equal(await isLetIn({ t, relay }, { privateKey }), true);
    assert.equal(questions[0]?.method, "POST");
    assert.deepEqual(JSON.parse(questions[0]?.body ?? ""), {
      NodePublic: renderNodeKey(publicKeyOf(privateKey)),
      Source: "127.0.0.1",
    });
  },
);

perRelay("99. Given a valid mesh key, then no admission query at all.", {}, async (t, kind) => {
  const { url, answer, questions } = await startOracle(t, { port: 0, host: "127.0.0.1" });
  answer.body = '{"Allow":false}';
  const files = await ownFiles(t);
  const meshKey = "0123456789abcdef".repeat(4);
  const file = path.join(files.folder, "mesh.key");
  await writeFile(file, meshKey);
  const flags = { "verify-client-url": url, "mesh-psk-file": file };
  const relay = await startRelayUnderTest(kind, files, { flags });
  t.after(() => relay.stop());
  assert.equal(await isLetIn({ t, relay }, { info: JSON.stringify({ meshKey }) }), true);
  assert.deepEqual(questions, []);
});

perRelay(
  '100. Given config `{"PerClientRateLimitBytesPerSec":1250000,"PerClientRateBurstBytes":10}`, then effective burst 65 568; missing file and bad JSON are errors.',
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "rate.json");
    const options = { flags: { "rate-config": file } };
    assert.equal((await refusal(kind, files, options)).status, 1);
    await writeFile(file, "{");
    assert.equal((await refusal(kind, files, options)).status, 1);
    await writeFile(file, '{"PerClientRateLimitBytesPerSec":1250000,"PerClientRateBurstBytes":10}');
    const relay = await startRelayUnderTest(kind, files, options);
    t.after(() => relay.stop());
    await metricsBecome(relay, {
      derp_rate_limit_per_client_bytes_per_second: 1_250_000,
      derp_rate_limit_per_client_burst_bytes: 65_568,
    });
  },
);

perRelay(
  "101. Given rate = burst = 65 568 and two full-size frames, then the first passes at once and the second after 1 s; `waited` +1, and after a reload without a limit no more.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "rate.json");
    await writeFile(file, '{"PerClientRateLimitBytesPerSec":65568,"PerClientRateBurstBytes":65568}');
    const relay = await startRelayUnderTest(kind, files, { flags: { "rate-config": file } });
    t.after(() => relay.stop());
    const [alice, bob] = [await join({ t, relay }), await join({ t, relay })];
    const packet = Buffer.alloc(65_536);
    const started = performance.now();
    alice.send(bob, packet);
    alice.send(bob, packet);
    await bob.receives(alice, packet);
    await bob.receives(alice, packet);
    const seconds = (performance.now() - started) / 1_000;
    assert.ok(seconds > 0.9 && seconds < 1.5, `${seconds} s`);
    await metricsBecome(relay, { derp_rate_limit_per_client_waited: 1 });
    await writeFile(file, "{}");
    process.kill(relay.pid, "SIGHUP");
    await metricsBecome(relay, { derp_rate_limit_per_client_bytes_per_second: 0 });
    for (let count = 0; count < 10; count++) alice.send(bob, packet);
    for (let count = 0; count < 10; count++) await bob.receives(alice, packet);
    await metricsBecome(relay, { derp_rate_limit_per_client_waited: 1 });
  },
);

statement(
  "104. Given the accept limit exceeded, then the connection is closed, and the server keeps running (Q2).",
  async ({ relay, differs }) => {
    const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => openTls(relay)));
    for (const attempt of attempts) if (attempt.status === "fulfilled") attempt.value.destroy();
    assert.ok(attempts.some(({ status }) => status === "rejected"));
    const survives = differs("Q2", { derper: false, ours: true });
    assert.equal(await isRunning(relay.pid), survives);
  },
  {
    relay: { flags: { "accept-connection-limit": "1", "accept-connection-burst": "4" } },
  },
);

perRelay(
  "97. Given that URL slower than 5 s, then accept with fail-open (default), reject without.",
  { slow: true },
  async (t, kind) => {
    // It takes the question, and says nothing.
    const server = createServer(() => {});
    server.listen({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const flags = { "verify-client-url": `http://127.0.0.1:${port}/verify` };
    const isAnswered = async (more: Record<string, string>): Promise<boolean> => {
      const relay = await ownRelay(t, kind, { flags: { ...flags, ...more } });
      const connection = await upgrade({ t, relay });
      const started = performance.now();
      connection.write(clientInfo(relay.relayKey, generatePrivateKey(), usualInfo));
      const answered = once(connection.socket, "data").then(() => true);
      const closed = once(connection.socket, "close").then(() => false);
      const outcome = await Promise.race([answered, closed]);
      const seconds = (performance.now() - started) / 1_000;
      assert.ok(seconds > 4.9 && seconds < 8, `after ${seconds} s`);
      return outcome;
    };
    const outcomes = await Promise.all([
      isAnswered({}),
      isAnswered({ "verify-client-url-fail-open": "false" }),
    ]);
    assert.deepEqual(outcomes, [true, false]);
  },
);

/** Tells whether a process lives on; one that dies does so within moments. */
async function isRunning(pid: number): Promise<boolean> {
  const giveUp = performance.now() + 1_000;
  while (performance.now() < giveUp) {
    try {
      process.kill(pid, 0);
    } catch {
      return false;
    }
    await timers.setTimeout(20);
  }
  return true;
}
