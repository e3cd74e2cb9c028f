/**
 * What a cloud is to the fleet: a place that has, or makes, the machines of nodes. A new cloud is one new file beside
 * this one, and a line in `clouds.ts` and in `places.ts`.
 *
 * Addresses, volume and names of a node outlive its machine: they are declared first, DNS records follow, and the machine
 * last, so that a relay that starts finds itself where the world looks for it.
 */
import type * as pulumi from "@pulumi/pulumi";
import type { RelayConfig } from "../bootstrap/relay-config.ts";
import type { FleetConfig, NodeConfig, RegionConfig } from "../config/fleet.ts";

/**
 * One relay as the rest of the kit sees it, whatever cloud it is in. Every cloud gives the same description.
 *
 * `Text` is what names and addresses are: text, or what becomes text once the cloud is asked.
 */
export interface FleetNode<Text = string> {
  /** Unique in the tailnet, for example `901a`. */
  readonly name: string;
  readonly regionId: number;
  readonly regionCode: string;
  /** DNS name that clients connect to, or the node's address. */
  readonly hostName: Text;
  /**
   * As in the derpMap: empty for the host name's own, another name, or `sha256-raw:<hex>`, the pin of a self-signed one;
   * `pending` for a pin that is not known yet.
   */
  readonly certName: string;
  /** Address, or `none`. */
  readonly ipv4: Text;
  /** Address, or `none`. */
  readonly ipv6: Text;
  /** TCP. */
  readonly derpPort: number;
  /** UDP. */
  readonly stunPort: number;
  readonly state: RegionConfig["state"];
  /** The cloud's own name of the place, and of the machine's type; empty for `local`. */
  readonly location: string;
  readonly size: string;
  /** The very configuration file that the relay gets. */
  readonly relayConfig: RelayConfig<Text>;
}

/** A node whose names and addresses only the cloud may know. */
export type PlannedNode = FleetNode<pulumi.Input<string>>;

/** What only the cloud knows of a node; the fields are those of `FleetNode`. */
export interface NodeFacts {
  /** Undefined where the cloud does not make the certificate. */
  readonly certName?: string;
  readonly ipv4: pulumi.Input<string>;
  readonly ipv6: pulumi.Input<string>;
  readonly derpPort: number;
  readonly stunPort: number;
  /** Where the relay listens on its machine, in derper's notation: `:443`. */
  readonly listen: string;
  /** The region's mesh key, from the relay's state directory, where the cloud itself makes one. */
  readonly meshKeyFile?: string;
}

/** What a machine boots with. */
export interface Boot {
  /** Made from the path of the volume's device, which only the cloud knows. */
  readonly userData: (volumeDevice: string) => string;
  /** What has to be there before: the records that lead to the node, and what earlier waves have to show. */
  readonly after: readonly pulumi.Resource[];
  /** What the machine, and no other, may read: by the name that the relay knows it by. Few clouds have a way for that. */
  readonly secrets: ReadonlyMap<string, pulumi.Output<string>>;
}

/** What of a node is there before its machine, and stays when that is built anew. */
export interface NodeIdentity extends NodeFacts {
  /**
   * Declares the machine. A cloud without machines has none to declare.
   *
   * @returns what has to be there for it to run
   */
  createMachine?(boot: Boot, options: pulumi.CustomResourceOptions): readonly pulumi.Resource[];
}

/** A region's part of a cloud. */
export interface Site {
  /**
   * Declares addresses and volume of one of the region's nodes, and reverse DNS if it has a name of its own.
   *
   * @param name prefix of the resources' names
   * @param options with the node's component as parent
   */
  createIdentity(node: NodeConfig, name: string, options: pulumi.CustomResourceOptions): NodeIdentity;
}

export interface Cloud {
  /** The providers of a region's resources, where they are not the stack's own. */
  providersOf?(region: RegionConfig): readonly pulumi.ProviderResource[];
  /**
   * Declares what the nodes of a region share: its network, its firewall.
   *
   * @param name prefix of the resources' names
   * @param options with the region's component as parent
   */
  createSite(region: RegionConfig, name: string, options: pulumi.CustomResourceOptions): Site;
}

/** What is known of a node that is there already. */
export type PreviousNode = Pick<
  FleetNode,
  "name" | "regionId" | "regionCode" | "state" | "location" | "size"
>;

/** What a cloud may use besides its regions. */
export interface CloudContext {
  /** Folder of the project: kept files go to `.derpkit/` in it. */
  readonly root: string;
  readonly stack: string;
  readonly now: Date;
  /** True where no cloud is asked: what only a cloud knows stays unknown, and nothing is checked against it. */
  readonly offline: boolean;
  /** The nodes that the last `up` left. */
  readonly previous: readonly PreviousNode[];
  readonly log: { info(message: string): unknown; warn(message: string): unknown };
}

/**
 * Makes a cloud ready for its regions, before any resource is declared.
 *
 * Whatever can fail by a person's doing fails here: an error inside an `Output` reaches the person with a stack.
 */
export type OpenCloud = (
  regions: readonly RegionConfig[],
  context: CloudContext,
  config: Pick<FleetConfig, "awsProfiles">,
) => Promise<Cloud>;
