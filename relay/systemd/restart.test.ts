/** The relay as a process with sockets that somebody else has opened, as systemd does. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { askStun } from "../client/stun.ts";
import { decodeBindingResponse, encodeBindingRequest } from "../stun/message.ts";
import { openTcp, openUdp } from "../testing/passed-sockets.ts";
import { type RelayProcess, startWithSockets } from "../testing/relay-process.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import type { PassedSockets } from "./activation.ts";

const hostname = "relay.derpkit.internal";
const skip = process.platform === "linux" ? false : "systemd is there on Linux alone";
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);

async function folderFor(t: TestContext, changes: object = {}): Promise<string> {
  const folder = temporaryFolder(t);
  // The addresses of the file are others than those of the sockets, and nobody may bind there.
  const config = {
    listen: "192.0.2.1:443",
    hostname,
    certMode: "pinned",
    httpPort: -1,
    drain: "0s",
    ...changes,
  };
  await writeFile(join(folder, "relay.json"), JSON.stringify(config));
  return folder;
}

async function start(t: TestContext, folder: string, sockets: PassedSockets): Promise<RelayProcess> {
  const relay = startWithSockets(t, folder, sockets, "-config=relay.json");
  await relay.printed("serves");
  return relay;
}

async function stop(relay: RelayProcess): Promise<void> {
  relay.child.kill("SIGTERM");
  assert.equal(await relay.exit, 0, relay.output());
}

async function open(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connectTcp({ port, host });
  await once(socket, "connect");
  return socket;
}

/** Asks for the relay's health over a connection that is there already. */
async function askHealth(socket: Socket): Promise<string> {
  const secured = connectTls({ socket, servername: hostname, rejectUnauthorized: false });
  secured.end(`GET /healthz HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  return text(secured);
}

test("a relay serves on the sockets that it is passed, and binds no others", { skip }, async (t) => {
  const [derp, stun, http] = [openTcp(t, "127.0.0.1"), openUdp(t, "127.0.0.1"), openTcp(t, "127.0.0.1")];
  const folder = await folderFor(t, { httpPort: 80 });
  const relay = await start(t, folder, { http: http.fd, stun: stun.fd, derp: derp.fd });
  assert.match(relay.output(), new RegExp(`with TLS on TCP ${derp.port}, STUN on UDP ${stun.port}\n`));
  assert.match(await askHealth(await open(derp.port)), /^HTTP\/1\.1 200 /);
  const { local, mapped } = await askStun({ address: "127.0.0.1", port: stun.port }, t.signal);
  assert.deepEqual(mapped, local);
  const plain = await open(http.port);
  plain.end("GET /generate_204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(await text(plain), /^HTTP\/1\.1 204 /);
  await stop(relay);
});

test(
  "sockets of IPv6 that take IPv4 as well serve both, and STUN tells an IPv4 client its IPv4 address",
  { skip: skip || (!hasIpv6 && "no IPv6 here") },
  async (t) => {
    const [derp, stun] = [openTcp(t, "::"), openUdp(t, "::")];
    const relay = await start(t, await folderFor(t), { derp: derp.fd, stun: stun.fd });
    for (const address of ["127.0.0.1", "::1"]) {
      assert.match(await askHealth(await open(derp.port, address)), /^HTTP\/1\.1 200 /);
      const { local, mapped } = await askStun({ address, port: stun.port }, t.signal);
      assert.deepEqual([mapped.address, mapped.port], [address, local.port]);
    }
    await stop(relay);
  },
);

test(
  "while the relay is started again nobody is refused, and who came meanwhile is served",
  { skip },
  async (t) => {
    const [derp, stun] = [openTcp(t, "127.0.0.1"), openUdp(t, "127.0.0.1")];
    const sockets = { derp: derp.fd, stun: stun.fd };
    const folder = await folderFor(t);
    await stop(await start(t, folder, sockets));
    const waiting = await Promise.all(Array.from({ length: 50 }, () => open(derp.port)));
    const client = createSocket("udp4");
    t.after(() => client.close());
    client.connect(stun.port, "127.0.0.1");
    await once(client, "connect");
    const answered = once(client, "message");
    client.send(encodeBindingRequest(Buffer.alloc(12, 7)));
    const second = await start(t, folder, sockets);
    for (const answer of await Promise.all(waiting.map(askHealth))) assert.match(answer, /^HTTP\/1\.1 200 /);
    const [datagram] = (await answered) as [Buffer];
    assert.equal(decodeBindingResponse(datagram)?.port, client.address().port);
    await stop(second);
  },
);

test("where no STUN socket is passed the relay binds its own", { skip }, async (t) => {
  const derp = openTcp(t, "127.0.0.1");
  const folder = await folderFor(t, { listen: "127.0.0.1:443", stunPort: 20_000 + (process.pid % 10_000) });
  const relay = await start(t, folder, { derp: derp.fd });
  const stunPort = Number(/STUN on UDP (\d+)/.exec(relay.output())?.[1]);
  const { local, mapped } = await askStun({ address: "127.0.0.1", port: stunPort }, t.signal);
  assert.deepEqual(mapped, local);
  await stop(relay);
});

test("a socket that the options have no use for is named in the log", { skip }, async (t) => {
  const [derp, stun] = [openTcp(t, "127.0.0.1"), openUdp(t, "127.0.0.1")];
  const relay = await start(t, await folderFor(t, { stun: false }), { derp: derp.fd, stun: stun.fd });
  assert.match(relay.output(), /the socket stun that is passed to the relay is not used/);
  await stop(relay);
});

test(
  "sockets of the wrong kind end the start with an error that names the descriptor",
  { skip },
  async (t) => {
    const [tcp, udp] = [openTcp(t, "127.0.0.1"), openUdp(t, "127.0.0.1")];
    const folder = await folderFor(t);
    for (const [sockets, message] of [
      [
        { derp: udp.fd, stun: udp.fd },
        /The relay cannot listen on the socket .* descriptor 3\. \[listen-failed\]/,
      ],
      [{ derp: tcp.fd, stun: tcp.fd }, /STUN cannot use the socket .* descriptor 4\. \[listen-failed\]/],
    ] as const) {
      const relay = startWithSockets(t, folder, sockets, "-config=relay.json");
      assert.equal(await relay.exit, 1);
      assert.match(relay.output(), message);
    }
  },
);

test("a socket with an unknown name ends the start with exit status 1", { skip }, async (t) => {
  const { fd } = openTcp(t, "127.0.0.1");
  const sockets = { "relay.socket": fd } as PassedSockets;
  const relay = startWithSockets(t, await folderFor(t), sockets, "-config=relay.json");
  assert.equal(await relay.exit, 1);
  assert.match(
    relay.output(),
    /systemd: A socket with the name "relay\.socket" is passed\. \[sockets-invalid\]/,
  );
});
