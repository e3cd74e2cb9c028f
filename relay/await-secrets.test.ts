import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { sendRequest } from "./outbound/http.ts";
import { joinRelay, startTestRelay } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

test("a relay whose secrets are still to come serves, lets nobody in, and has neither mesh nor status page", async (t) => {
  const file = join(temporaryFolder(t), "later");
  await writeFile(file, "\n");
  const running = await startTestRelay(t, {
    awaitSecrets: true,
    meshPskFile: file,
    meshWith: "b.derpkit.internal/127.0.0.1",
    statusTokenFile: file,
    admissionApiClientId: "k123",
    admissionApiSecretFile: file,
    admissionApiUrl: "http://127.0.0.1:1",
  });
  await assert.rejects(joinRelay(t, running));
  const agent = new Agent({ rejectUnauthorized: false, servername: running.hostName });
  const ask = async (page: string): Promise<string> => {
    const url = new URL(page, `https://127.0.0.1:${running.derpPort}`);
    const headers = { Host: running.hostName };
    const { body } = await sendRequest({
      url,
      method: "GET",
      headers,
      agent,
      maxBytes: 65_536,
      signal: t.signal,
    });
    return body.toString();
  };
  assert.equal(Object(JSON.parse(await ask("/healthz"))).ok, true);
  assert.doesNotMatch(await ask("/derpkit/status"), /homeConnections/);
});
