/** Clients that checks send through a relay: each has a key of its own, made for the occasion. */
import { connectRelay, type RelayConnection } from "../../relay/client/connection.ts";
import type { TransportOptions } from "../../relay/client/transport.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { CheckFailed } from "./check.ts";

/** How a node is reached over one family. */
export type Route = Omit<TransportOptions, "signal" | "tap">;

export interface ProbeClient extends AsyncDisposable {
  readonly key: NodeKey;
  readonly connection: RelayConnection;
}

/** Opens a client's connection. */
export type OpenClient = (
  options: Pick<TransportOptions, "signal" | "tap"> & { readonly fastStart?: boolean },
) => Promise<ProbeClient>;

/** Makes clients that log in over a route. */
export function clientsOver(route: Route): OpenClient {
  return async (options) => {
    const privateKey = generatePrivateKey();
    const connection = await connectRelay({ ...route, ...options, privateKey, prober: true });
    return {
      key: publicKeyOf(privateKey),
      connection,
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  };
}

/**
 * Sends a packet from one client to another and waits for it.
 *
 * @throws CheckFailed if something else arrives
 * @throws RelayFailure if nothing does
 */
export async function passPacket(
  from: ProbeClient,
  to: ProbeClient,
  packet: Buffer,
  signal: AbortSignal,
): Promise<void> {
  from.connection.send(to.key, packet);
  const received = await to.connection.receive(signal);
  const what = `a packet of ${packet.length} bytes`;
  if (received.type !== "packet") {
    throw new CheckFailed(`${what} was sent, and ${received.type} came instead`);
  }
  if (!received.source.equals(from.key)) throw new CheckFailed(`${what} arrived with another source key`);
  if (!received.packet.equals(packet)) {
    throw new CheckFailed(`${what} arrived changed, with ${received.packet.length} bytes`);
  }
}
