/** The derpMap as Tailscale's Go code reads and writes it (`tailcfg/derpmap.go`). Field names are those of its JSON. */

export interface DerpMap {
  /** By decimal region id. */
  readonly Regions: Readonly<Record<string, DerpRegion>>;
}

export interface DerpRegion {
  readonly RegionID: number;
  readonly RegionCode: string;
  readonly RegionName: string;
  /** In the order in which clients try them. */
  readonly Nodes: readonly DerpNode[];
}

export interface DerpNode {
  /** Unique in the whole map: netcheck finds nodes by it. */
  readonly Name: string;
  readonly RegionID: number;
  readonly HostName: string;
  /** Empty: the certificate is for HostName. A name: it is for that. `sha256-raw:<hex>`: it is this one. */
  readonly CertName: string;
  /** Address; empty: ask DNS; `none`: clients do not use this family. */
  readonly IPv4: string;
  readonly IPv6: string;
  /** The node answers STUN and is no relay. */
  readonly STUNOnly?: boolean;
  /** UDP; -1: the node has no STUN. */
  readonly STUNPort: number;
  /** TCP. */
  readonly DERPPort: number;
}
