/** What delivery is to the fleet: a place from which nodes fetch their releases. */
import type * as pulumi from "@pulumi/pulumi";
import type { RegionConfig } from "../config/fleet.ts";
import type { PlannedNode } from "../clouds/cloud.ts";

export interface Delivery {
  /** Each region's releases are in the folder of its code below it. Without a final slash. */
  readonly url: string;
  /**
   * Declares the place, if it is the stack that puts releases there.
   *
   * @param name of its resources, and prefix of those in it
   */
  createStore?(name: string, parent: pulumi.Resource): ReleaseStore;
}

export interface ReleaseStore {
  /**
   * Declares what a region is delivered.
   *
   * @param after what has to be shown before: the gates of earlier waves
   */
  publish(
    region: RegionConfig,
    nodes: readonly PlannedNode[],
    after: readonly pulumi.Resource[],
  ): PublishedRelease;
  /**
   * Declares secrets that only one node's relay can open.
   *
   * @param key the relay's: 64 hex digits
   * @param secrets by credential
   * @param after what has to be there before
   */
  seal(
    region: RegionConfig,
    node: string,
    key: pulumi.Output<string>,
    secrets: ReadonlyMap<string, pulumi.Output<string>>,
    after: readonly pulumi.Resource[],
  ): PublishedRelease;
  /** Declares that these nodes may read. Not every store has a way to say that. */
  admit?(nodes: readonly PlannedNode[]): void;
}

/** What nodes are offered: a region's release, or what is sealed to a node. */
export interface PublishedRelease {
  readonly release: pulumi.Output<Release>;
  /** What makes it known. */
  readonly resources: readonly pulumi.Resource[];
}

/** As much of it as the next `up` has to know. */
export interface Release {
  readonly sequence: number;
  /** Changes with whatever nodes are delivered, and with nothing else: SHA-256 in lower-case hex. */
  readonly content: string;
}

/** By the region's code; of what is sealed to a node by `<code>/<node>`. */
export type Releases = Readonly<Record<string, Release>>;

/** An operator's own server. */
export function operatorsDelivery(url: string): Delivery {
  return { url: url.replace(/\/$/, "") };
}

/**
 * Puts content into the order of releases: what did not change keeps its place, and anything else comes after all that was
 * published before, also by an `up` that failed and left no word of it.
 *
 * @param now Unix time, in seconds
 */
export function placeRelease(content: string, previous: Release | undefined, now: number): Release {
  if (previous === undefined) return { sequence: now, content };
  return previous.content === content
    ? previous
    : { sequence: Math.max(previous.sequence + 1, now), content };
}
