import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { listenOn } from "./listen.ts";

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await closed;
}

test("a server listens at an address, and says which port it got", async () => {
  const server = createServer((socket) => socket.end("hello"));
  const { address, port } = await listenOn(server, { host: "127.0.0.1", port: 0 }, "The relay");
  assert.equal(address, "127.0.0.1");
  assert.equal(String(await connect(port, "127.0.0.1").toArray()), "hello");
  await close(server);
});

test("what is no TCP socket cannot be listened on, and the error says which descriptor", async (t) => {
  const fd = openSync(join(temporaryFolder(t), "file"), "w");
  t.after(() => closeSync(fd));
  await assert.rejects(listenOn(createServer(), { fd }, "The relay"), (error) => {
    assert.ok(error instanceof KitError);
    assert.equal(error.code, "listen-failed");
    assert.equal(error.message, `The relay cannot listen on the socket that is passed as descriptor ${fd}.`);
    return true;
  });
});
