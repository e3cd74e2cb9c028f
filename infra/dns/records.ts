/** The records of a node. Pure. */
import { renderCaa } from "../../relay/acme/caa.ts";
import type { RegionConfig } from "../config/fleet.ts";
import type { PlannedRecord } from "./dns.ts";

/** Let's Encrypt, as it calls itself in CAA records. */
const authority = "letsencrypt.org";

/**
 * Lists the records that a node's name needs: its addresses, and who may issue a certificate for it after which proof.
 *
 * @param addresses of the families that the node has
 */
export function planRecords(
  hostName: string,
  addresses: Readonly<Partial<Record<"A" | "AAAA", PlannedRecord["content"]>>>,
  { certificates, http }: Pick<RegionConfig, "certificates" | "http">,
  ttl: number,
): PlannedRecord[] {
  const { A, AAAA } = addresses;
  return [
    ...(A === undefined ? [] : [{ name: hostName, type: "A", content: A, ttl } as const]),
    ...(AAAA === undefined ? [] : [{ name: hostName, type: "AAAA", content: AAAA, ttl } as const]),
    ...(certificates === "acme"
      ? [{ name: hostName, type: "CAA", content: renderCaa(authority, methodsOf(http)), ttl } as const]
      : []),
  ];
}

function methodsOf(http: boolean): ("tls-alpn-01" | "http-01")[] {
  return http ? ["tls-alpn-01", "http-01"] : ["tls-alpn-01"];
}
