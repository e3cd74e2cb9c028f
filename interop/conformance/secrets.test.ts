/** The mesh key from a setec server: `-secrets-url`, `-secrets-path-prefix`, `-secrets-cache-dir`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join as joinPath } from "node:path";
import { json } from "node:stream/consumers";
import { FrameType, keyLength } from "../../relay/protocol/frame.ts";
import { join, type Place } from "./client.ts";
import { whyMissing } from "./relay-under-test.ts";
import { ownFiles, ownRelay, perRelay } from "./suite.ts";

const meshKey = "0123456789abcdef".repeat(4);
const name = "team/derp/meshkey";
const value = { Value: Buffer.from(`${meshKey}\n`).toString("base64"), Version: 3 };

perRelay(
  "Given -secrets-url, then the mesh key is the one that the server gives, and later the one that derper or ours has kept.",
  {},
  async (t, kind) => {
    const asked: unknown[] = [];
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const { method, url, headers } = request;
      const guard = headers["sec-x-tailscale-no-browsers"];
      asked.push({ method, url, type: headers["content-type"], guard, body: await json(request) });
      // As a server that has just come up.
      if (asked.length === 1) response.writeHead(500).end();
      else response.end(JSON.stringify(value));
    };
    const server = createServer((request, response) => void answer(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { folder } = await ownFiles(t);
    const cache = joinPath(folder, "new", "secrets");
    const flags = {
      "secrets-url": `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      "secrets-path-prefix": "team/derp",
      "secrets-cache-dir": cache,
    };
    const first = await ownRelay(t, kind, { flags });
    await expectPrivilege({ t, relay: first });
    const question = {
      method: "POST",
      url: "/api/get",
      type: "application/json",
      guard: "setec",
      body: { Name: name, Version: 0, UpdateIfChanged: false },
    };
    assert.deepEqual(asked, [question, question]);
    const kept = JSON.parse(await readFile(cache, "utf8")) as Record<string, Record<string, unknown>>;
    assert.deepEqual(Object.keys(kept), [name]);
    assert.deepEqual(kept[name]?.["secret"], value);
    assert.match(String(kept[name]?.["lastAccess"]), /^\d{10}$/);
    assert.equal((await stat(cache)).mode & 0o777, 0o600);
    await first.stop();
    server.close();
    server.closeAllConnections();
    // The other one, if it is there, finds what this one has kept.
    const other = kind !== "derper" ? "derper" : "node";
    const second = await ownRelay(t, whyMissing(other) === undefined ? other : kind, { flags });
    await expectPrivilege({ t, relay: second });
    assert.equal(asked.length, 2);
  },
);

/** Who has the mesh key may watch, and is shown to itself first. */
async function expectPrivilege(place: Place): Promise<void> {
  const info = JSON.stringify({ version: 2, CanAckPings: true, meshKey });
  const client = await join(place, { info });
  client.frame(FrameType.watchConns);
  const { type, payload } = await client.next();
  assert.equal(type, FrameType.peerPresent);
  assert.ok(client.key.equals(payload.subarray(0, keyLength)));
  await client.leave();
}
