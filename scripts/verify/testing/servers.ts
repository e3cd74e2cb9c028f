/** Servers on free ports of loopback that stop with their test. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { Server, Socket } from "node:net";
import type { TestContext } from "node:test";

/** Makes a TCP or TLS server listen. @returns its port */
export async function listenTcp(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server.address());
}

/** Answers datagrams; undefined is silence. @returns the port */
export async function listenUdp(
  t: TestContext,
  answer: (datagram: Buffer, from: RemoteInfo) => Buffer | undefined,
): Promise<number> {
  const socket = createSocket("udp4", (datagram, from) => {
    const bytes = answer(datagram, from);
    if (bytes !== undefined) socket.send(bytes, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket.address().port;
}

function portOf(address: ReturnType<Server["address"]>): number {
  if (typeof address !== "object" || address === null) throw new TypeError("the server has no port");
  return address.port;
}
