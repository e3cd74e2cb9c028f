/** What the environment means to a relay: whose certificates it trusts, and through which proxy it asks. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createSelfSigned } from "../../relay/crypto/self-signed.ts";
import { generatePrivateKey } from "../../relay/crypto/keys.ts";
import { FrameType } from "../../relay/protocol/frame.ts";
import { clientInfo, upgrade, usualInfo } from "./client.ts";
import { ownFiles, ownRelay, perRelay } from "./suite.ts";
import type { RelayKind, RelayOptions } from "./relay-under-test.ts";

const dayMs = 86_400_000;
const mayComeIn = '{"Allow":true}';

/** Whether a client is admitted by a relay with these options. */
async function admits(t: TestContext, kind: RelayKind, options: RelayOptions): Promise<boolean> {
  const relay = await ownRelay(t, kind, options);
  const connection = await upgrade({ t, relay });
  connection.write(clientInfo(relay.relayKey, generatePrivateKey(), usualInfo));
  const frame = await connection.next().catch(() => undefined);
  return frame?.type === FrameType.serverInfo;
}

async function listen(t: TestContext, server: http.Server | https.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

perRelay(
  "Given an admission URL with a certificate of a private authority, then it is trusted through SSL_CERT_FILE or SSL_CERT_DIR alone.",
  {},
  async (t, kind) => {
    const made = createSelfSigned({
      hostName: "127.0.0.1",
      notBefore: new Date(Date.now() - dayMs),
      notAfter: new Date(Date.now() + 30 * dayMs),
    });
    const server = https.createServer({ cert: made.certificatePem, key: made.keyPem }, (_request, response) =>
      response.end(mayComeIn),
    );
    const port = await listen(t, server);
    const { folder } = await ownFiles(t);
    const roots = join(folder, "roots");
    await mkdir(roots);
    await writeFile(join(roots, "private.pem"), made.certificatePem);
    const flags = {
      "verify-client-url": `https://127.0.0.1:${port}/verify`,
      "verify-client-url-fail-open": "false",
    };
    assert.equal(await admits(t, kind, { flags }), false);
    const file = { SSL_CERT_FILE: join(roots, "private.pem") };
    assert.equal(await admits(t, kind, { flags, env: file }), true);
    assert.equal(await admits(t, kind, { flags, env: { SSL_CERT_DIR: `/nowhere:${roots}` } }), true);
  },
);

perRelay(
  "Given HTTP_PROXY, then the admission URL is asked through it; hosts of NO_PROXY are not.",
  {},
  async (t, kind) => {
    const asked: (string | undefined)[] = [];
    const proxy = http.createServer((request, response) => {
      asked.push(request.url);
      response.end(mayComeIn);
    });
    const env = { HTTP_PROXY: `http://127.0.0.1:${await listen(t, proxy)}` };
    const url = "http://verify.example.invalid/verify";
    const flags = { "verify-client-url": url, "verify-client-url-fail-open": "false" };
    assert.equal(await admits(t, kind, { flags, env }), true);
    assert.deepEqual(asked, [url]);
    assert.equal(await admits(t, kind, { flags, env: { ...env, NO_PROXY: ".example.invalid" } }), false);
    assert.deepEqual(asked, [url]);
  },
);

perRelay(
  "Given HTTPS_PROXY, then a tunnel to the admission URL's host is asked for.",
  {},
  async (t, kind) => {
    const asked: (string | undefined)[] = [];
    const proxy = http.createServer();
    proxy.on("connect", (request, socket) => {
      asked.push(request.url);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    const env = { HTTPS_PROXY: `http://127.0.0.1:${await listen(t, proxy)}` };
    const flags = {
      "verify-client-url": "https://verify.example.invalid/verify",
      "verify-client-url-fail-open": "false",
    };
    assert.equal(await admits(t, kind, { flags, env }), false);
    assert.deepEqual(asked, ["verify.example.invalid:443"]);
  },
);
