/** Who speaks to AWS for a region: the stack's own provider, or one with the credentials of the region's partition. */
import * as aws from "@pulumi/aws";
import type { FleetConfig, RegionConfig } from "../config/fleet.ts";
import { type AwsPartition, partitionOf } from "./places.ts";

export class AwsProviders {
  readonly #locations: readonly string[];
  readonly #profiles: FleetConfig["awsProfiles"];
  readonly #made = new Map<AwsPartition, aws.Provider>();

  constructor(regions: readonly RegionConfig[], profiles: FleetConfig["awsProfiles"]) {
    this.#locations = regions.map(({ location }) => location).toSorted();
    this.#profiles = profiles;
  }

  /**
   * The provider of a place, declared when it is first asked for; undefined for the stack's own.
   *
   * Resources name their places themselves. A provider's region is only where it makes sure of its credentials, which
   * has to be in its partition.
   */
  of(location: string): aws.Provider | undefined {
    const partition = partitionOf(location);
    const profile = this.#profiles[partition];
    if (partition === "aws" && profile === undefined) return undefined;
    const known = this.#made.get(partition);
    if (known !== undefined) return known;
    const region = this.#locations.find((place) => partitionOf(place) === partition) ?? location;
    const provider = new aws.Provider(`derp-${partition}`, {
      region,
      ...(profile === undefined ? {} : { profile }),
    });
    this.#made.set(partition, provider);
    return provider;
  }
}
