/** Has a TCP server listen: at an address, or on a socket that somebody else has opened. */
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import type { ListenAddress } from "../config/listen-address.ts";
import { KitError } from "../errors.ts";

/** The descriptor of a socket that is bound already. The server closes this one; whoever passed the socket has another. */
export interface PassedSocket {
  readonly fd: number;
}

export type ListenPlace = ListenAddress | PassedSocket;

/**
 * Connections that wait in the queue of a passed socket, which are all that come during a restart. To listen sets this
 * anew; the system lowers it to what it allows (net.core.somaxconn), and Bun has 511 whatever is asked for.
 */
const passedBacklog = 4_096;

/**
 * Starts to listen.
 *
 * @param who the subject of the sentence that says why it cannot
 * @returns where it listens
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function listenOn(server: Server, place: ListenPlace, who: string): Promise<AddressInfo> {
  try {
    const listening = once(server, "listening");
    listening.catch(() => {}); // If `listen` throws, nobody waits for it.
    startListening(server, place);
    await listening;
  } catch (cause) {
    throw describeFailure(place, who, cause);
  }
  const address = server.address();
  if (typeof address === "object" && address !== null) return address;
  server.close();
  throw describeFailure(place, who, new Error("it is no TCP socket"));
}

function startListening(server: Server, place: ListenPlace): void {
  if ("fd" in place) {
    server.listen({ fd: place.fd }, passedBacklog);
    return;
  }
  const { host, port } = place;
  server.listen({ port, ...(host === undefined ? {} : { host }) });
}

function describeFailure(place: ListenPlace, who: string, cause: unknown): KitError {
  if ("fd" in place) {
    return new KitError("listen-failed", {
      message: `${who} cannot listen on the socket that is passed as descriptor ${place.fd}.`,
      fix: "Pass a TCP socket: ListenStream= with an address or a port.",
      cause,
    });
  }
  const inUse = (cause as NodeJS.ErrnoException).code === "EADDRINUSE";
  return new KitError(inUse ? "port-in-use" : "listen-failed", {
    message: `${who} cannot listen on TCP port ${place.port}.`,
    where: place.host ?? "every address",
    cause,
  });
}
