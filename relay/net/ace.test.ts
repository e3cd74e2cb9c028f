import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { parseConnectTarget, tunnelTo } from "./ace.ts";

const target = { host: "controlplane.tailscale.com", port: 443 };

test("a CONNECT leads to Tailscale's servers on port 80 and 443, and to no relay", () => {
  assert.deepEqual(parseConnectTarget("controlplane.tailscale.com:443"), target);
  assert.deepEqual(parseConnectTarget("login.tailscale.com:80"), { host: "login.tailscale.com", port: 80 });
  for (const text of [
    "controlplane.tailscale.com",
    "controlplane.tailscale.com:8443",
    "controlplane.tailscale.com:0443",
    "tailscale.com:443",
    "eviltailscale.com:443",
    "a.tailscale.com.example:443",
    "derp1.tailscale.com:443",
    "a.derp.tailscale.com:80",
    "CONTROLPLANE.TAILSCALE.COM:443",
    "[::1]:443",
    "[a.tailscale.com]:443",
    "a:b.tailscale.com:443",
    "/generate_204",
    "",
  ]) {
    assert.equal(parseConnectTarget(text), undefined, text);
  }
});

async function listen(t: TestContext, serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

async function open(t: TestContext, server: Server): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function read(socket: Socket, length: number): Promise<string> {
  let text = "";
  while (text.length < length) text += String((await once(socket, "data"))[0]);
  return text;
}

test("a tunnel says 200, passes on what came with the request, and then whatever both sides say", async (t) => {
  const far = await listen(t, (socket) => socket.pipe(socket));
  const { port } = far.address() as AddressInfo;
  const near = await listen(t, (socket) =>
    tunnelTo({ host: "localhost", port })(socket, Buffer.from("early ")),
  );
  const client = await open(t, near);
  const hello = "HTTP/1.1 200 OK\r\n\r\nearly ";
  assert.equal(await read(client, hello.length), hello);
  client.write("and late");
  assert.equal(await read(client, 8), "and late");
});

test("a tunnel ends when either side ends, and what was said before still arrives", async (t) => {
  const heard: Promise<string>[] = [];
  const far = await listen(t, (socket) => {
    heard.push(socket.toArray().then((chunks) => Buffer.concat(chunks as Buffer[]).toString()));
    socket.once("data", (chunk: Buffer) => {
      if (String(chunk) === "bye") socket.end("bye yourself");
    });
  });
  const near = await listen(t, (socket) => tunnelTo(target, () => open(t, far))(socket, Buffer.alloc(0)));
  const told = await open(t, near);
  told.write("bye");
  assert.match(Buffer.concat(await told.toArray()).toString(), /\r\n\r\nbye yourself$/);
  const leaving = await open(t, near);
  leaving.end("leaving");
  await once(leaving.resume(), "close");
  assert.deepEqual(await Promise.all(heard), ["bye", "leaving"]);
});

test("a target that cannot be reached is answered with 502", async (t) => {
  const refuse = (): Promise<Socket> => Promise.reject(new Error("nobody is there"));
  const near = await listen(t, (socket) => tunnelTo(target, refuse)(socket, Buffer.alloc(0)));
  const client = await open(t, near);
  const answer = Buffer.concat(await client.toArray()).toString();
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*\r\n\r\nConnect failure\n$/);
});
