/** Asks a node over the first of its families that leads there. */
import type { SecureContext } from "node:tls";
import type { DerpNode } from "../../infra/derpmap/derp-map.ts";
import { CannotTest, CheckFailed } from "./check.ts";
import type { Detour } from "./detour.ts";
import type { Route } from "./probe-client.ts";
import { reach } from "./reach.ts";
import { listAddresses } from "./target.ts";

export interface Way {
  readonly trust: SecureContext;
  readonly detours: readonly Detour[];
  readonly signal: AbortSignal;
}

/** @throws what `ask` throws, CheckFailed or CannotTest, whichever family said last */
export async function overFirstFamily<T>(
  node: DerpNode,
  { trust, detours, signal }: Way,
  ask: (route: Route) => Promise<T>,
): Promise<T> {
  const { HostName: hostName, CertName: certName, DERPPort: port } = node;
  let refusal: unknown = new CheckFailed("the map gives this node no address of either family");
  for (const { family, address } of listAddresses(node)) {
    try {
      const endpoint = await reach({ family, address, hostName, port }, detours, signal);
      return await ask({ endpoint, identity: { hostName, certName }, trust });
    } catch (error) {
      // What one family lacks the other may have; the last word is that of one that could be asked.
      if (!(error instanceof CannotTest)) refusal = error;
    }
  }
  throw refusal;
}
