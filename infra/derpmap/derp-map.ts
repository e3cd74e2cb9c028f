/**
 * The derpMap as Tailscale's Go code reads and writes it (`tailcfg/derpmap.go`). Field names are those of its JSON.
 *
 * `Text` is what names and addresses are: text, or what becomes text once the cloud is asked.
 */

export interface DerpMap<Text = string> {
  /** By decimal region id. */
  readonly Regions: Readonly<Record<string, DerpRegion<Text>>>;
}

export interface DerpRegion<Text = string> {
  readonly RegionID: number;
  readonly RegionCode: string;
  readonly RegionName: string;
  /** Clients neither measure the region nor make it their home, and still reach peers that are there. */
  readonly NoMeasureNoHome?: boolean;
  /** In the order in which clients try them. */
  readonly Nodes: readonly DerpNode<Text>[];
}

export interface DerpNode<Text = string> {
  /** Unique in the whole map: netcheck finds nodes by it. */
  readonly Name: string;
  readonly RegionID: number;
  readonly HostName: Text;
  /** Empty: the certificate is for HostName. A name: it is for that. `sha256-raw:<hex>`: it is this one. */
  readonly CertName: string;
  /** Address; empty: ask DNS; `none`: clients do not use this family. */
  readonly IPv4: Text;
  readonly IPv6: Text;
  /** The node answers STUN and is no relay. */
  readonly STUNOnly?: boolean;
  /** UDP; -1: the node has no STUN. */
  readonly STUNPort: number;
  /** TCP. */
  readonly DERPPort: number;
}
