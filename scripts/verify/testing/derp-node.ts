/** A running relay as a derpMap has it. */
import type { DerpNode } from "../../../infra/derpmap/derp-map.ts";
import type { RunningRelay } from "../../../relay/testing/running-relay.ts";

/** @param fields what differs */
export function nodeOf(
  { hostName, pin, derpPort, stunPort }: RunningRelay,
  fields: Partial<DerpNode> = {},
): DerpNode {
  return {
    Name: "901a",
    RegionID: 901,
    HostName: hostName,
    CertName: pin,
    IPv4: "127.0.0.1",
    IPv6: "none",
    DERPPort: derpPort,
    STUNPort: stunPort,
    ...fields,
  };
}
