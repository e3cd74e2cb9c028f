/**
 * The derpMap as Tailscale's Go code reads and writes it (`tailcfg/derpmap.go`). Field names are those of its JSON.
 *
 * `Text` is what names and addresses are: text, or what becomes text once the cloud is asked.
 */

export interface DerpMap<Text = string> {
  readonly HomeParams?: HomeParams;
  /** Clients have none of Tailscale's own regions. */
  readonly OmitDefaultRegions?: boolean;
  /** By decimal region id. Null takes the one of Tailscale's own regions that has the id out of the map. */
  readonly Regions: Readonly<Record<string, DerpRegion<Text> | null>>;
}

/** What weighs when a client chooses its home. */
export interface HomeParams {
  /** By decimal region id: its latency counts so many times. 1 where none is given. */
  readonly RegionScore?: Readonly<Record<string, number>>;
}

export interface DerpRegion<Text = string> {
  readonly RegionID: number;
  readonly RegionCode: string;
  readonly RegionName: string;
  readonly Latitude?: number;
  readonly Longitude?: number;
  /** Of old clients; `NoMeasureNoHome` has taken its place. */
  readonly Avoid?: boolean;
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
  /** Clients may look for a captive portal by way of the node's port 80. */
  readonly CanPort80?: boolean;
  /** For tests of clients: no certificate is checked. */
  readonly InsecureForTests?: boolean;
  /** For tests of clients: where STUN is asked instead. */
  readonly STUNTestIP?: string;
}

/** The regions that a map has, in its order: what it takes out is left out. */
export function regionsOf<Text>({ Regions }: Pick<DerpMap<Text>, "Regions">): DerpRegion<Text>[] {
  return Object.values(Regions).filter((region) => region !== null);
}
