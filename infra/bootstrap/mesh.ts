/** Which other relays a relay is told of: those of its region, for clients of different nodes are to reach each other. Pure. */
import type { MeshWith } from "../../relay/config/mesh.ts";

/** What of a node says where its relay is, and how it proves who it is. */
export interface MeshPlace<Text> {
  readonly certificates: "acme" | "acme-ip" | "pinned" | "manual";
  /** Name or address in its certificate. */
  readonly hostName: Text;
  /** Where it is found. */
  readonly address: Text;
  /** TCP. */
  readonly derpPort: number;
  /** As in the derpMap. */
  readonly certName: string;
}

/** An entry of the relay's list; names and addresses may become text later. */
export type MeshEntry<Text> = Omit<MeshWith, "host" | "dialHost"> & {
  readonly host: Text;
  readonly dialHost: Text;
};

/**
 * Lists the relays that a node's relay connects to. A pinned one is found by its address, as its name need not lead
 * anywhere; one whose pin is not known yet could not be told from a stranger, and is left out.
 */
export function listMeshEntries<Text>(others: readonly MeshPlace<Text>[]): MeshEntry<Text>[] {
  return others.flatMap(({ certificates, hostName, address, derpPort: port, certName }) => {
    if (certificates !== "pinned") return [{ host: hostName, dialHost: hostName, port, certName: "" }];
    return isPin(certName) ? [{ host: hostName, dialHost: address, port, certName }] : [];
  });
}

function isPin(certName: string): boolean {
  return certName.startsWith("sha256-raw:");
}
