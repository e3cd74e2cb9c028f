/** Finds ports that nothing on this machine uses. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, Server } from "node:net";
import { KitError } from "../../relay/errors.ts";

/** Below the ranges from which systems give out ports to clients: Linux 32768, others 49152. */
export const firstPort = 20_000;
export const lastPort = 29_999;

/**
 * Chooses a port that is not taken and was free on 127.0.0.1 a moment ago.
 *
 * @param taken ports that are out of the question, whether in use now or not
 * @param random a whole number from 0 to below its argument
 * @throws KitError `port-in-use` if 500 attempts found none
 */
export async function chooseFreePort(
  protocol: "tcp" | "udp",
  taken: ReadonlySet<number>,
  random: (below: number) => number,
): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const port = firstPort + random(lastPort - firstPort + 1);
    if (!taken.has(port) && (await findPortFault(protocol, "127.0.0.1", port)) === undefined) return port;
  }
  throw new KitError("port-in-use", {
    message: `No free ${protocol.toUpperCase()} port was found from ${firstPort} to ${lastPort} on 127.0.0.1.`,
    fix: "Give the node's ports in the stack file: derpPort, stunPort.",
  });
}

/** What keeps a program from listening on a port of this machine, as a clause; undefined if nothing does. */
export async function findPortFault(
  protocol: "tcp" | "udp",
  address: string,
  port: number,
): Promise<string | undefined> {
  const listener = protocol === "tcp" ? createServer() : createSocket(isIPv6(address) ? "udp6" : "udp4");
  try {
    const listening = once(listener, "listening");
    if (listener instanceof Server) listener.listen({ host: address, port, exclusive: true });
    else listener.bind({ address, port, exclusive: true });
    await listening;
    return undefined;
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    return clauses[code] ?? `cannot be had: ${message}`;
  } finally {
    listener.close();
  }
}

/** As systems have it, EACCES is about ports below 1024. */
const clauses: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken",
  EACCES: "is not for this user; ports from 1024 on are for everybody",
};
