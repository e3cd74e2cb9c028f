/** How to tell that two sockets are one connection: the socket within TLS is another object than the one that was accepted. */
import type { Socket } from "node:net";

/** The far end of a connection, which no two that are open share. */
export function farEnd({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}
