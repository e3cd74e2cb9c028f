/** What a relay says of its node's updater to everybody. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { connect } from "node:tls";
import type { Relay } from "./relay.ts";
import type { UpdaterStatus } from "./status/updater-status.ts";
import { quietConfig, startBareRelay } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const refused: UpdaterStatus = {
  format: 1,
  state: "refused",
  sequence: 41,
  version: "0.1.0+0123456789ab",
  digest: "0f".repeat(32),
  refusals: [{ code: "manifest-signature", message: "signed by nobody" }],
  at: "2026-11-30T21:00:00Z",
};

interface Answer {
  readonly head: string;
  readonly body: string;
}

function request(target: string, headers: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, "Host: a", "Connection: close", ...headers, "", ""].join("\r\n");
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
    updater: { state: "refused", sequence: 41, code: "manifest-signature" },
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
  assert.match(body, /"updater":\{"state":"unknown","sequence":null,"code":null\}/);
  assert.doesNotMatch((await ask(relay, "/debug/varz")).body, /derpkit_updater/);
});

test("without the option nothing is said of an updater", async (t) => {
  const { relay } = await startBareRelay(t, { stun: false });
  assert.doesNotMatch((await ask(relay, "/healthz")).body, /updater/);
  assert.doesNotMatch((await ask(relay, "/debug/varz")).body, /derpkit_updater/);
});
