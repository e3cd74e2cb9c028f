/** What the environment means to a relay: whose certificates it trusts, which proxy it asks through, what it logs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { createSelfSigned } from "../../relay/crypto/self-signed.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf, renderShortKey } from "../../relay/crypto/keys.ts";
import { FrameType } from "../../relay/protocol/frame.ts";
import { clientInfo, join, upgrade, usualInfo } from "./client.ts";
import { patienceMs } from "./incoming.ts";
import { refusal, type RelayKind, type RelayOptions, type RelayUnderTest } from "./relay-under-test.ts";
import { ownFiles, ownRelay, perRelay } from "./suite.ts";

const dayMs = 86_400_000;
const pollMs = 20;
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
    const roots = path.join(folder, "roots");
    await mkdir(roots);
    await writeFile(path.join(roots, "private.pem"), made.certificatePem);
    const flags = {
      "verify-client-url": `https://127.0.0.1:${port}/verify`,
      "verify-client-url-fail-open": "false",
    };
    assert.equal(await admits(t, kind, { flags }), false);
    const file = { SSL_CERT_FILE: path.join(roots, "private.pem") };
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

perRelay(
  "Given TS_DEBUG_VERBOSE_DROPS with a key, then the log tells what is dropped on the way to it, and of no other.",
  {},
  async (t, kind) => {
    const [listed, other] = [generatePrivateKey(), generatePrivateKey()].map(publicKeyOf) as [
      NodeKey,
      NodeKey,
    ];
    const env = { TS_DEBUG_VERBOSE_DROPS: `${listed.toString("hex")},nokey` };
    const relay = await ownRelay(t, kind, { env });
    const alice = await join({ t, relay });
    for (const key of [other, listed]) alice.send(key, "nobody is there");
    await alice.sync();
    const line = (key: NodeKey): string =>
      `drop (${renderShortKey(alice.key)}) unknown_dest -> ${renderShortKey(key)}`;
    await logHas(relay, line(listed));
    assert.ok(!relay.log().includes(line(other)));
    assert.match(relay.log(), /"nokey"/);
  },
);

perRelay(
  "Given DERP_DEBUG_LOGS or DERP_PROBER_DEBUG_LOGS, then the log tells of each frame of a client, or of a prober alone.",
  {},
  async (t, kind) => {
    const table = [
      [{ DERP_DEBUG_LOGS: "true" }, { alice: true, prober: true }],
      [{ DERP_PROBER_DEBUG_LOGS: "1" }, { alice: false, prober: true }],
      [
        { DERP_PROBER_DEBUG_LOGS: "f", TS_DERP_DISABLE_RTT_STATS: "true" },
        { alice: false, prober: false },
      ],
    ] as const;
    for (const [env, told] of table) {
      const relay = await ownRelay(t, kind, { env });
      const [alice, prober] = [
        await join({ t, relay }),
        await join({ t, relay }, { info: '{"version":2,"IsProber":true}' }),
      ];
      for (const client of [alice, prober]) await client.sync();
      const line = ({ key }: { readonly key: NodeKey }): string =>
        `${renderShortKey(key)}: read frame type 4 len 48`;
      for (const [client, isTold] of [
        [alice, told.alice],
        [prober, told.prober],
      ] as const) {
        if (isTold) await logHas(relay, line(client));
        else assert.ok(!relay.log().includes(line(client)));
      }
      await relay.stop();
    }
  },
);

perRelay(
  "Given a switch in the environment that is no boolean, then start-up error.",
  {},
  async (t, kind) => {
    const { status } = await refusal(kind, await ownFiles(t), { env: { DERP_DEBUG_LOGS: "yes" } });
    assert.equal(status, 1);
  },
);

/** Standard error takes its time. */
async function logHas(relay: RelayUnderTest, text: string): Promise<void> {
  const giveUp = AbortSignal.timeout(patienceMs);
  while (!relay.log().includes(text)) {
    if (giveUp.aborted) assert.fail(`the log does not say ${text}:\n${relay.log()}`);
    await timers.setTimeout(pollMs);
  }
}
