import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { renderKeyFile } from "../crypto/key-file.ts";
import { generatePrivateKey } from "../crypto/keys.ts";
import { buildAgents } from "../outbound/http.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { sha256Hex } from "../updater/manifest.ts";
import { httpSource } from "./http-source.ts";
import { obtainSecrets, type ObtainOptions, readAccepted } from "./obtain-secrets.ts";
import type { SealedSecrets } from "./sealed-secrets.ts";
import { sealFor, testRecipient } from "./testing/sealed.ts";

const given = new Map([["mesh-key", "canary-2b7f"]]);
const document = "/fra/secrets/901a.json";
const signature = "/fra/secrets/901a.sig";

/** A node that has its key, and a delivery that is a web server. */
async function startNode(t: TestContext) {
  const files = new Map<string, Uint8Array>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const bytes = files.get(request.url ?? "");
    const etag = bytes && `"${sha256Hex(bytes)}"`;
    const isSame = etag !== undefined && request.headers["if-none-match"] === etag;
    const status = bytes === undefined ? 404 : isSame ? 304 : 200;
    asked.push(`${request.url} ${status}`);
    response.writeHead(status, etag === undefined ? {} : { ETag: etag });
    response.end(status === 200 ? bytes : undefined);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const folder = temporaryFolder(t);
  const keyFile = join(folder, "derper.key");
  await writeFile(keyFile, renderKeyFile(testRecipient.privateKey));
  const { privateKey: _, ...identity } = testRecipient;
  const base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/fra`);
  const options: ObtainOptions = {
    ...identity,
    source: httpSource({ base, agentFor: buildAgents({ env: {} }) }),
    keyFile,
    keptFile: join(folder, "secrets"),
    settle: async () => {},
  };
  return {
    asked,
    keyFile,
    options,
    server,
    deliver: ({ document: bytes, signature: signed }: SealedSecrets): void => {
      files.set(document, bytes).set(signature, signed);
    },
    withdraw: () => files.clear(),
    files,
    look: async (change: Partial<ObtainOptions> = {}) => {
      const { held, refusal } = await obtainSecrets({ ...options, ...change }, t.signal);
      return [held?.sequence, held?.secrets.get("mesh-key"), refusal?.code];
    },
  };
}

test("a relay without a key, or that nobody has sealed anything to, has no secrets, and nothing is wrong with that", async (t) => {
  const { look, keyFile, asked } = await startNode(t);
  assert.deepEqual(await look(), [undefined, undefined, undefined]);
  assert.deepEqual(asked, [`${document} 404`, `${signature} 404`]);
  await rm(keyFile);
  assert.deepEqual(await look(), [undefined, undefined, undefined]);
  assert.equal(asked.length, 2);
});

test("what was accepted once is there for the next start without a word from the delivery, for the same key and signer", async (t) => {
  const { look, deliver, keyFile, asked, options } = await startNode(t);
  const read = async (change: Partial<ObtainOptions> = {}) =>
    (await readAccepted({ ...options, ...change }))?.sequence;
  assert.equal(await read(), undefined);
  deliver(sealFor(given, 3));
  await look();
  const before = asked.length;
  assert.equal(await read(), 3);
  assert.equal(await read({ trustedKeys: [generateKeyPairSync("ed25519").publicKey] }), undefined);
  await writeFile(keyFile, renderKeyFile(generatePrivateKey()));
  assert.equal(await read(), undefined);
  await rm(keyFile);
  assert.equal(await read(), undefined);
  assert.equal(asked.length, before);
});

test("what is delivered is taken and kept: the delivery may then be empty, or gone", async (t) => {
  const { look, deliver, withdraw, server, asked } = await startNode(t);
  deliver(sealFor(given, 3));
  assert.deepEqual(await look(), [3, "canary-2b7f", undefined]);
  assert.deepEqual(await look(), [3, "canary-2b7f", undefined]);
  assert.deepEqual(asked.slice(2), [`${document} 304`, `${signature} 304`]);
  withdraw();
  assert.deepEqual(await look(), [3, "canary-2b7f", undefined]);
  server.close();
  server.closeAllConnections();
  assert.deepEqual(await look(), [3, "canary-2b7f", "delivery-unreadable"]);
});

test("newer secrets take the place of those before; older ones and other people's do not, whoever delivers them", async (t) => {
  const { look, deliver } = await startNode(t);
  deliver(sealFor(given, 3));
  await look();
  deliver(sealFor(new Map([["mesh-key", "newer"]]), 4));
  assert.deepEqual(await look(), [4, "newer", undefined]);
  deliver(sealFor(given, 3));
  assert.deepEqual(await look(), [4, "newer", "secrets-replayed"]);
  deliver(sealFor(given, 5, { ...testRecipient, node: "901b" }));
  assert.deepEqual(await look(), [4, "newer", "secrets-foreign"]);
  deliver({ ...sealFor(given, 5), signature: sealFor(given, 6).signature });
  assert.deepEqual(await look(), [4, "newer", "secrets-signature"]);
});

test("a publisher that is at work is waited for", async (t) => {
  const { look, deliver, files } = await startNode(t);
  deliver(sealFor(given, 3));
  await look();
  const next = sealFor(new Map([["mesh-key", "newer"]]), 4);
  files.set(document, next.document);
  assert.deepEqual(await look({ settle: async () => deliver(next) }), [4, "newer", undefined]);
  files.delete(signature);
  assert.deepEqual(await look({ settle: async () => deliver(next) }), [4, "newer", undefined]);
});

test("the order holds when signer and relay's key have changed, and what was kept can no longer be opened", async (t) => {
  const { look, deliver, keyFile, withdraw } = await startNode(t);
  deliver(sealFor(given, 3));
  await look();
  const other = generatePrivateKey();
  await writeFile(keyFile, renderKeyFile(other));
  deliver(sealFor(given, 2, { ...testRecipient, privateKey: other }));
  assert.deepEqual(await look(), [undefined, undefined, "secrets-replayed"]);
  deliver(sealFor(given, 4, { ...testRecipient, privateKey: other }));
  assert.deepEqual(await look(), [4, "canary-2b7f", undefined]);
  withdraw();
  const trustedKeys = [generateKeyPairSync("ed25519").publicKey];
  assert.deepEqual(await look({ trustedKeys }), [undefined, undefined, undefined]);
});

test("what cannot be kept is not accepted, and a memory that is damaged accepts nothing", async (t) => {
  const { look, deliver, options } = await startNode(t);
  deliver(sealFor(given, 3));
  await mkdir(`${options.keptFile}.new/x`, { recursive: true });
  assert.deepEqual(await look(), [undefined, undefined, "file-unreadable"]);
  await rm(`${options.keptFile}.new`, { recursive: true });
  await writeFile(options.keptFile, "damaged");
  assert.deepEqual(await look(), [undefined, undefined, "updater-state-invalid"]);
});
