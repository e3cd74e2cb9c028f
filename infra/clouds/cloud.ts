/**
 * What a cloud is to the fleet: a place that has, or makes, the machines of nodes. A new cloud is one new file beside
 * this one, and a line in `clouds.ts`.
 */
import type * as pulumi from "@pulumi/pulumi";
import type { RelayConfigInput } from "../../relay/config/schema.ts";

/** One relay as the rest of the kit sees it, whatever cloud it is in. Every cloud gives the same description. */
export interface FleetNode {
  /** Unique in the tailnet, for example `901a`. */
  readonly name: string;
  readonly regionId: number;
  readonly regionCode: string;
  /** DNS name that clients connect to. */
  readonly hostName: string;
  /** As in the derpMap: empty for the host name's own, another name, or `sha256-raw:<hex>`, the pin of a self-signed one. */
  readonly certName: string;
  /** Address, or `none`. */
  readonly ipv4: string;
  /** Address, or `none`. */
  readonly ipv6: string;
  /** TCP. */
  readonly derpPort: number;
  /** UDP. */
  readonly stunPort: number;
  /** The very configuration file that the relay gets. */
  readonly relayConfig: RelayConfigInput;
}

/** A node as the configuration has it, before any cloud was asked. */
export interface NodeDescription {
  readonly name: string;
  readonly regionId: number;
  readonly regionCode: string;
  readonly hostName: string;
  /** Undefined: the cloud chooses. */
  readonly derpPort: number | undefined;
  readonly stunPort: number | undefined;
}

/** What only the cloud knows of a node; the fields are those of `FleetNode`. */
export interface NodeFacts {
  readonly certName: pulumi.Input<string>;
  readonly ipv4: pulumi.Input<string>;
  readonly ipv6: pulumi.Input<string>;
  readonly derpPort: pulumi.Input<number>;
  readonly stunPort: pulumi.Input<number>;
  /** Where the relay listens on its machine, in derper's notation: `:443`. */
  readonly listen: pulumi.Input<string>;
}

export interface Cloud {
  /**
   * Declares the machine of one of the nodes that the cloud was opened for.
   *
   * @param node name of the node
   * @param name prefix of the resources' names
   * @param options with the node's component as parent
   */
  createMachine(node: string, name: string, options: pulumi.ResourceOptions): NodeFacts;
}

/** What a cloud may use besides its nodes. */
export interface CloudContext {
  /** Folder of the project: kept files go to `.derpkit/` in it. */
  readonly root: string;
  readonly stack: string;
  readonly now: Date;
  readonly log: { info(message: string): unknown; warn(message: string): unknown };
}

/**
 * Makes a cloud ready for its nodes, before any resource is declared.
 *
 * Whatever can fail by a person's doing fails here: an error inside an `Output` reaches the person with a stack.
 */
export type OpenCloud = (nodes: readonly NodeDescription[], context: CloudContext) => Promise<Cloud>;
