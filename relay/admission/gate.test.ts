import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { generatePrivateKey, type PrivateKey, publicKeyOf, renderNodeKey } from "../crypto/keys.ts";
import { joinRelay, type RunningRelay, startTestRelay, type TestClient } from "../testing/running-relay.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";

function login(t: TestContext, relay: RunningRelay, privateKey: PrivateKey): Promise<TestClient> {
  return joinRelay(t, relay, { privateKey, fastStart: true });
}

/** A controller that answers as it is told, and what it was asked. */
async function startController(t: TestContext, status: number, answer: string) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      asked.push(body);
      response.writeHead(status).end(answer);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/verify`, asked };
}

test("96, 98. only a controller's clear yes lets a client in; it is asked with the key and a dotted address", async (t) => {
  const cases: readonly (readonly [number, string, boolean])[] = [
    [200, '{"Allow":true}', true],
    [200, '{"Allow":false}', false],
    [200, "{}", false],
    [403, '{"Allow":true}', false],
    [200, "not JSON", false],
  ];
  for (const [status, answer, admitted] of cases) {
    const controller = await startController(t, status, answer);
    const options = { stun: false, verifyClientUrl: controller.url, verifyClientUrlFailOpen: true };
    const relay = await startTestRelay(t, options);
    const key = generatePrivateKey();
    if (admitted) await login(t, relay, key);
    else await assert.rejects(login(t, relay, key), /does not admit/, answer);
    const expected = `{"NodePublic":"${renderNodeKey(publicKeyOf(key))}","Source":"127.0.0.1"}`;
    assert.deepEqual(controller.asked, [expected]);
  }
});

test("97. a controller that cannot be reached lets everybody in with fail-open, and nobody without", async (t) => {
  const nobody = createServer();
  await once(nobody.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(nobody.address() as AddressInfo).port}/`;
  nobody.close();
  await once(nobody, "close");
  const open = await startTestRelay(t, { stun: false, verifyClientUrl: url });
  await login(t, open, generatePrivateKey());
  const closed = await startTestRelay(t, {
    stun: false,
    verifyClientUrl: url,
    verifyClientUrlFailOpen: false,
  });
  await assert.rejects(login(t, closed, generatePrivateKey()), /does not admit/);
});

test("95. without a tailscaled to ask, -verify-clients lets nobody in", async (t) => {
  const socket = join(temporaryFolder(t), "no.sock");
  const relay = await startTestRelay(t, { stun: false, verifyClients: true, socket });
  await assert.rejects(login(t, relay, generatePrivateKey()), /does not admit/);
});

test("an allow-list lets in the keys that are on it, and packets pass between them", async (t) => {
  const [alice, bob] = [generatePrivateKey(), generatePrivateKey()];
  const file = join(temporaryFolder(t), "clients");
  await writeFile(file, [alice, bob].map((key) => `${renderNodeKey(publicKeyOf(key))}\n`).join(""));
  const relay = await startTestRelay(t, { stun: false, admissionList: file });
  const [from, to] = [await login(t, relay, alice), await login(t, relay, bob)];
  from.send(to.key, Buffer.from("hello"));
  const received = await to.receive(t.signal);
  assert.deepEqual(received, { type: "packet", source: from.key, packet: Buffer.from("hello") });
  await assert.rejects(login(t, relay, generatePrivateKey()), /does not admit/);
});
