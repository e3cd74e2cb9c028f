/** A relay's key, from one who has proven to be the node. */
import type { SecureContext } from "node:tls";
import { LoginRefused } from "../../relay/client/failure.ts";
import type { NodeKey } from "../../relay/crypto/keys.ts";
import type { Detour } from "./detour.ts";
import { overFirstFamily } from "./first-family.ts";
import { clientsOver } from "./probe-client.ts";
import type { Target } from "./target.ts";

/**
 * Asks a node for its relay's key. It need not let us in: it tells its key first, over TLS with the node's own certificate.
 *
 * @throws RelayFailure, CheckFailed or CannotTest, whichever family said last
 */
export async function readRelayKey(
  { node }: Target,
  trust: SecureContext,
  detours: readonly Detour[],
  signal: AbortSignal,
): Promise<NodeKey> {
  return await overFirstFamily(node, { trust, detours, signal }, async (route) => {
    try {
      await using client = await clientsOver(route)({ signal });
      return client.connection.facts.serverKey;
    } catch (error) {
      if (error instanceof LoginRefused) return error.serverKey;
      throw error;
    }
  });
}
