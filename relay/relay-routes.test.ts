/** What a relay says of itself to those who may know more, and of its node's updater to everybody. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { connect } from "node:tls";
import type { RelayConfigInput } from "./config/schema.ts";
import { KitError, renderError } from "./errors.ts";
import { FrameType } from "./protocol/frame.ts";
import { encodeFrame } from "./protocol/writer.ts";
import type { Relay } from "./relay.ts";
import type { UpdaterStatus } from "./status/updater-status.ts";
import { joinRelay, quietConfig, startBareRelay, startTestRelay } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const token = "hush-hush-hush-hush";
const refused: UpdaterStatus = {
  format: 1,
  state: "refused",
  sequence: 41,
  secrets: 3,
  version: "0.1.0+0123456789ab",
  digest: "0f".repeat(32),
  refusals: [{ code: "manifest-signature", message: "signed by nobody" }],
  at: "2026-11-30T21:00:00Z",
};

interface Answer {
  readonly head: string;
  readonly body: string;
}

/** @param what a path, or a method and a path */
function request(what: string, headers: readonly string[]): string {
  const line = what.startsWith("/") ? `GET ${what}` : what;
  return [`${line} HTTP/1.1`, "Host: a", "Connection: close", ...headers, "", ""].join("\r\n");
}

function split(answer: string): Answer {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  return { head: head.replace(/\r\nDate: [^\r]*/, ""), body };
}

async function ask(relay: Relay, target: string, ...headers: readonly string[]): Promise<Answer> {
  const { hostname: servername } = quietConfig;
  const socket = connect({ host: "127.0.0.1", port: relay.derpPort, servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.write(request(target, headers));
  return split(await text(socket));
}

async function askPlain(port: number, target: string, ...headers: readonly string[]): Promise<Answer> {
  const socket = connectTcp({ host: "127.0.0.1", port });
  socket.write(request(target, headers));
  return split(await text(socket));
}

const bearer = (given: string): string => `Authorization: Bearer ${given}`;
const askStatus = (relay: Relay, given = token): Promise<Answer> =>
  ask(relay, "/derpkit/status", bearer(given));

/** A file with the token, and the options that name it. */
async function withToken(t: TestContext): Promise<{ file: string; options: Partial<RelayConfigInput> }> {
  const file = join(temporaryFolder(t), "token");
  await writeFile(file, `${token}\n`);
  return { file, options: { stun: false, statusTokenFile: file } };
}

test("who shows the token learns how the relay does, its home connections among it", async (t) => {
  const { options } = await withToken(t);
  const updaterStatusFile = join(temporaryFolder(t), "updater.json");
  await writeFile(updaterStatusFile, JSON.stringify(refused));
  const running = await startTestRelay(t, { ...options, updaterStatusFile });
  const [atHome] = [await joinRelay(t, running), await joinRelay(t, running)];
  atHome.transport.stream.write(encodeFrame(FrameType.notePreferred, Buffer.of(1)));
  let answer = await askStatus(running.relay);
  while (!answer.body.includes('"homeConnections":1')) answer = await askStatus(running.relay);
  assert.match(
    answer.head,
    /^HTTP\/1\.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: application\/json\r\n/,
  );
  const { certificates, uptimeSeconds, ...rest } = JSON.parse(answer.body) as Record<string, unknown>;
  assert.deepEqual(rest, {
    ok: true,
    version: "0.0.0",
    bundle: null,
    state: "serving",
    connections: 2,
    homeConnections: 1,
    updater: refused,
  });
  assert.equal(Number.isInteger(uptimeSeconds), true);
  const [certificate] = certificates as Record<string, unknown>[];
  assert.equal(certificate?.["name"], running.hostName);
  assert.match(String(certificate["notAfter"]), /^\d{4}-\d\d-\d\dT/);
  assert.ok(Number(certificate["daysLeft"]) > 300);
});

test("who shows the token has the clients of a draining region let go, and of no other", async (t) => {
  const { options } = await withToken(t);
  const drainingFile = join(temporaryFolder(t), "draining");
  const running = await startTestRelay(t, { ...options, drainingFile });
  const [atHome, visitor] = [await joinRelay(t, running), await joinRelay(t, running)];
  atHome.transport.stream.write(encodeFrame(FrameType.notePreferred, Buffer.of(1)));
  await atHome.ping(t.signal);
  const letGo = (): Promise<Answer> => ask(running.relay, "POST /derpkit/let-go", bearer(token));
  assert.match((await letGo()).head, /^HTTP\/1\.1 409 /);
  await writeFile(drainingFile, "");
  assert.deepEqual(JSON.parse((await letGo()).body), { leaving: 1, overMs: 20, refusedMs: 40_000 });
  await once(atHome.transport.stream, "close");
  await visitor.ping(t.signal);
});

test("without the token, or with another, nothing is told", async (t) => {
  const { options } = await withToken(t);
  const { relay } = await startBareRelay(t, options);
  for (const answer of [
    await ask(relay, "/derpkit/status"),
    await ask(relay, `/derpkit/status?token=${token}`),
    await askStatus(relay, `${token}!`),
    await ask(relay, "/derpkit/status", "Authorization: Bearer x", bearer(token)),
  ]) {
    assert.match(answer.head, /^HTTP\/1\.1 401 Unauthorized\r\n[^]*\r\nWWW-Authenticate: Bearer\r\n/);
    assert.doesNotMatch(answer.body, /serving/);
  }
});

test("without the option the page is answered as any path that nothing has", async (t) => {
  const { relay } = await startBareRelay(t, { stun: false });
  assert.deepEqual(await askStatus(relay), await ask(relay, "/derpkit/other", bearer(token)));
});

test("the token is not taken over plain HTTP: port 80 sends the page to HTTPS as any other", async (t) => {
  const { options } = await withToken(t);
  const { relay } = await startBareRelay(t, { ...options, httpPort: 0 });
  const { head, body } = await askPlain(relay.httpPort ?? 0, "/derpkit/status", bearer(token));
  assert.match(head, /^HTTP\/1\.1 302 Found\r\n[^]*\r\nLocation: https:\/\/a\/derpkit\/status\r\n/);
  assert.doesNotMatch(body, /serving/);
});

test("a relay behind a proxy on the same machine shows the page there", async (t) => {
  const { options } = await withToken(t);
  const { relay } = await startBareRelay(t, { ...options, certMode: "letsencrypt" });
  assert.equal(relay.tls, false);
  const { body } = await askPlain(relay.derpPort, "/derpkit/status", bearer(token));
  assert.match(body, /"state":"serving",[^]*"certificates":\[\],"updater":null,/);
});

test("a reload takes a new token; one that is none it does not take, and does not show", async (t) => {
  const { file, options } = await withToken(t);
  const { relay, log } = await startBareRelay(t, options);
  const statusOf = async (given: string): Promise<string> =>
    (await askStatus(relay, given)).head.slice(9, 12);
  await writeFile(file, "hush-hush\n");
  await relay.reload();
  assert.match(log.join("\n"), /not read again, and what held before goes on: status token\n/);
  assert.doesNotMatch(log.join("\n"), /hush/);
  assert.equal(await statusOf(token), "200");
  const next = "another-token-of-ours";
  await writeFile(file, next);
  await relay.reload();
  assert.deepEqual([await statusOf(token), await statusOf(next)], ["401", "200"]);
  await rm(file);
  await relay.reload();
  assert.equal(await statusOf(next), "200");
});

test("a token file that is missing or short ends the start with an error that does not show it", async (t) => {
  const { file, options } = await withToken(t);
  for (const prepare of [() => writeFile(file, "hush-hush"), () => rm(file)]) {
    await prepare();
    await assert.rejects(startBareRelay(t, options), (error) => {
      assert.ok(error instanceof KitError && error.code === "config-invalid");
      assert.match(renderError(error), /statusTokenFile \(-status-token-file\): /);
      assert.doesNotMatch(renderError(error), /hush/);
      return true;
    });
  }
});

test("/healthz and metrics tell of the updater if they are to, and /healthz is as well with it as without", async (t) => {
  const updaterStatusFile = join(temporaryFolder(t), "updater.json");
  await writeFile(updaterStatusFile, JSON.stringify(refused));
  const { relay } = await startBareRelay(t, { stun: false, updaterStatusFile });
  const { head, body } = await ask(relay, "/healthz");
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.deepEqual(JSON.parse(body), {
    ok: true,
    version: "0.0.0",
    bundle: null,
    state: "serving",
    updater: { state: "refused", sequence: 41, secrets: 3, code: "manifest-signature" },
  });
  assert.doesNotMatch(body, /signed by nobody/);
  const { body: varz } = await ask(relay, "/debug/varz");
  assert.match(varz, /^derpkit_updater_sequence 41$/m);
  assert.match(varz, /^derpkit_updater_refused 1$/m);
  assert.match(varz, /^derpkit_updater_status_age_seconds -?[\d.e+]+$/m);
});

test("an updater that says nothing is unknown in /healthz, and in no metric", async (t) => {
  const updaterStatusFile = join(temporaryFolder(t), "updater.json");
  const { relay } = await startBareRelay(t, { stun: false, updaterStatusFile });
  const { head, body } = await ask(relay, "/healthz");
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(body, /"updater":\{"state":"unknown","sequence":null,"secrets":null,"code":null\}/);
  assert.doesNotMatch((await ask(relay, "/debug/varz")).body, /derpkit_updater/);
});

test("without the option nothing is said of an updater", async (t) => {
  const { relay } = await startBareRelay(t, { stun: false });
  assert.doesNotMatch((await ask(relay, "/healthz")).body, /updater/);
  assert.doesNotMatch((await ask(relay, "/debug/varz")).body, /derpkit_updater/);
});
