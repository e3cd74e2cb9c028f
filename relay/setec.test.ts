import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSecureContext } from "node:tls";
import { reply, startServer, type TestServer } from "./outbound/testing/servers.ts";
import { KitError } from "./errors.ts";
import { readSecret } from "./setec.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const name = "prod/derp/meshkey";
const secret = "0123456789abcdef".repeat(4);
const value = { Value: Buffer.from(secret).toString("base64"), Version: 7 };
const kept = { [name]: { secret: value, lastAccess: "1700000000" } };

async function read(
  server: TestServer,
  cache: string,
  log: (line: string) => void = () => {},
): Promise<string> {
  const trust = createSecureContext();
  return readSecret({ url: server.url.href, name, cache, env: {}, trust, now: () => 1_700_000_000.9, log });
}

function cacheOf(t: TestContext): string {
  return join(temporaryFolder(t), "new", "secrets");
}

test("the active version is asked for as setec's API wants it, and kept in setec's own format", async (t) => {
  const server = await startServer(t, reply(200, JSON.stringify(value)));
  const cache = cacheOf(t);
  assert.equal(await read(server, cache), secret);
  const [{ method, url, headers, body } = assert.fail()] = server.received;
  assert.deepEqual([method, url], ["POST", "/api/get"]);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["sec-x-tailscale-no-browsers"], "setec");
  assert.deepEqual(JSON.parse(body), { Name: name, Version: 0, UpdateIfChanged: false });
  assert.deepEqual(JSON.parse(await readFile(cache, "utf8")), kept);
  assert.equal((await stat(cache)).mode & 0o777, 0o600);
});

test("a kept secret is taken without asking, and others in the file stay", async (t) => {
  const server = await startServer(t, reply(200, JSON.stringify(value)));
  const cache = join(temporaryFolder(t), "secrets");
  await writeFile(cache, JSON.stringify(kept));
  assert.equal(await read(server, cache), secret);
  assert.equal(server.received.length, 0);
  const other = { other: { secret: { Value: "eA==", Version: 1 }, lastAccess: "1" } };
  await writeFile(cache, JSON.stringify(other));
  assert.equal(await read(server, cache), secret);
  assert.deepEqual(JSON.parse(await readFile(cache, "utf8")), { ...other, ...kept });
});

test("whatever the server says wrong, it is asked again, and each reason is told once", async (t) => {
  const server = await startServer(t, reply(500));
  const wrong = [
    reply(500),
    reply(403),
    reply(404),
    reply(200, "{}"),
    reply(200, '{"Value":1}'),
    reply(200, "x"),
  ];
  server.server.on("answered", () => {
    server.answer = wrong.shift() ?? reply(200, JSON.stringify(value));
  });
  const lines: string[] = [];
  assert.equal(await read(server, cacheOf(t), (line) => void lines.push(line)), secret);
  assert.equal(server.received.length, 8);
  assert.deepEqual(
    lines.map((line) => /: (.*); trying again$/.exec(line)?.[1]),
    ["status 500", "it denies access", "it has no such secret", "the answer is no secret"],
  );
  assert.doesNotMatch(lines.join(), new RegExp(secret));
});

test("a cache that is broken counts as empty; one that is a folder, or in a file, does not", async (t) => {
  const server = await startServer(t, reply(200, JSON.stringify(value)));
  const folder = temporaryFolder(t);
  const cache = join(folder, "secrets");
  for (const broken of ["", "{", "null", "[]", `{"${name}":null}`, `{"${name}":{"secret":{"Value":"?"}}}`]) {
    await writeFile(cache, broken);
    assert.equal(await read(server, cache), secret, broken);
  }
  await assert.rejects(read(server, folder), KitError);
  await assert.rejects(read(server, join(cache, "below")), KitError);
});

test("a server that is not there yet is waited for", async (t) => {
  const first = await startServer(t, reply(200, JSON.stringify(value)));
  const { port } = first.url;
  first.server.close();
  await once(first.server, "close");
  const lines: string[] = [];
  const reading = read(first, cacheOf(t), (line) => {
    lines.push(line);
    first.server.listen(Number(port), "127.0.0.1");
  });
  assert.equal(await reading, secret);
  assert.equal(lines.length, 1);
});
