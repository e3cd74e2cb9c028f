/** A relay's key, from one who has proven to be the node. */
import type { SecureContext } from "node:tls";
import { LoginRefused } from "../../relay/client/failure.ts";
import type { NodeKey } from "../../relay/crypto/keys.ts";
import { CannotTest, CheckFailed } from "./check.ts";
import type { Detour } from "./detour.ts";
import { clientsOver } from "./probe-client.ts";
import { reach } from "./reach.ts";
import { listAddresses, type Target } from "./target.ts";

/**
 * Asks a node for its relay's key, over the first of its families that leads there. It need not let us in: it tells its key
 * first, over TLS with the node's own certificate.
 *
 * @throws RelayFailure, CheckFailed or CannotTest, whichever family said last
 */
export async function readRelayKey(
  { node }: Target,
  trust: SecureContext,
  detours: readonly Detour[],
  signal: AbortSignal,
): Promise<NodeKey> {
  const { HostName: hostName, CertName: certName, DERPPort: port } = node;
  let refusal: unknown = new CheckFailed("the map gives this node no address of either family");
  for (const { family, address } of listAddresses(node)) {
    try {
      const endpoint = await reach({ family, address, hostName, port }, detours, signal);
      const open = clientsOver({ endpoint, identity: { hostName, certName }, trust });
      await using client = await open({ signal });
      return client.connection.facts.serverKey;
    } catch (error) {
      if (error instanceof LoginRefused) return error.serverKey;
      // What one family lacks the other may have; the last word is that of one that could be asked.
      if (!(error instanceof CannotTest)) refusal = error;
    }
  }
  throw refusal;
}
