import * as pulumi from "@pulumi/pulumi";
import type { Cloud, PlannedNode } from "./clouds/cloud.ts";
import type { CloudName } from "./clouds/places.ts";
import type { RegionConfig } from "./config/fleet.ts";
import type { Delivery, Release } from "./delivery/delivery.ts";
import { buildDerpMap, buildRegion, isPublished, type MapPolicy } from "./derpmap/build.ts";
import type { DerpMap, DerpRegion } from "./derpmap/derp-map.ts";
import type { PlannedRecord } from "./dns/dns.ts";
import type { Gate } from "./gate.ts";
import { RelayRegion, type RelayRegionArgs } from "./relay-region.ts";
import { type RolledOut, rollOut } from "./roll-out.ts";

export interface RelayFleetArgs extends Pick<RelayRegionArgs, "dns" | "boot" | "secretOf"> {
  /** Undefined where no machine needs any. */
  readonly delivery: Delivery | undefined;
  /** What has to be shown of a region before the next wave is changed. */
  readonly gate: Gate;
  /** In any order: the derpMap sorts them by id. */
  readonly regions: readonly RegionConfig[];
  /** The clouds of these regions, opened. */
  readonly cloudOf: (name: CloudName) => Cloud;
  /** What the derpMap says beyond the regions; nothing by default. */
  readonly map?: MapPolicy;
}

/** A region that nobody was shown to serve. */
export interface UnverifiedRegion<Text = string> {
  readonly id: number;
  /** Why, as a clause. */
  readonly reason: string;
  /** As a derpMap that has it shows it. */
  readonly region: DerpRegion<Text>;
}

/**
 * A fleet of DERP relays in one or more regions, and the derpMap that tells a tailnet of them. Only names and addresses
 * wait for a cloud: a preview shows everything else of them.
 *
 * @example
 * const fleet = new RelayFleet("derp", await prepareFleet(context));
 * export const derpMap = fleet.derpMap;
 */
export class RelayFleet extends pulumi.ComponentResource {
  /** Of the regions that clients may be told of. */
  readonly derpMap: DerpMap<pulumi.Input<string>>;
  /** Regions without a gate, for who wants them in the map nevertheless; those whose gate alone is skipped are not in it. */
  readonly unverified: readonly UnverifiedRegion<pulumi.Input<string>>[];
  /** Every node, by region id and then in the region's order. */
  readonly nodes: readonly PlannedNode[];
  /** Of all nodes that have a name of their own, whether somebody makes them or not. */
  readonly records: readonly PlannedRecord[];
  /** What the stack publishes, by the region's code, or by `<code>/<node>`. */
  readonly releases: Readonly<Record<string, pulumi.Output<Release>>>;

  constructor(name: string, args: RelayFleetArgs, options?: pulumi.ComponentResourceOptions) {
    super("derpkit:index:RelayFleet", name, {}, options);
    const { regions: configs, cloudOf, delivery, gate, map, ...shared } = args;
    const store = delivery?.createStore?.(`${name}-releases`, this);
    const components: RelayRegion[] = [];
    const releases: RolledOut["releases"][number][] = [];
    const gates: pulumi.Resource[] = [];
    for (const wave of groupByWave(configs)) {
      const after = [...gates];
      for (const region of wave) {
        const { id, cloud } = region;
        const regionArgs = { region, cloud: cloudOf(cloud), after, ...shared };
        const component = new RelayRegion(`${name}-${id}`, regionArgs, { parent: this });
        components.push(component);
        if (cloud === "local") continue;
        const given = { store, gate, after, secretOf: shared.secretOf };
        const rolled = rollOut(component, region, given, `${name}-${id}`);
        releases.push(...rolled.releases);
        gates.push(...rolled.gates);
      }
    }
    components.sort((a, b) => a.region.id - b.region.id);
    const regions = components.map(({ region }) => region);
    this.derpMap = buildDerpMap(regions.filter(isPublished), map);
    this.unverified = configs
      .toSorted((a, b) => a.id - b.id)
      .flatMap((config) => {
        const region = regions.find(({ id }) => id === config.id);
        const reason = whyUnverified(config, gate);
        if (region === undefined || reason === undefined) return [];
        const isKnown = isPublished({ ...region, isUnproven: false });
        return isKnown ? [{ id: region.id, reason, region: buildRegion(region, map?.drainBy) }] : [];
      });
    this.nodes = regions.flatMap(({ nodes }) => nodes);
    this.records = components.flatMap(({ records }) => records);
    store?.admit?.(this.nodes);
    this.releases = Object.fromEntries(releases);
    this.registerOutputs({ derpMap: this.derpMap, nodes: this.nodes });
  }
}

/** Local relays have no gate: who starts them proves them. */
function whyUnverified({ cloud, skipGate }: RegionConfig, { asksNothing = false }: Gate): string | undefined {
  if (cloud === "local") return undefined;
  if (skipGate !== undefined) return `its gate is skipped until ${skipGate.until}: ${skipGate.reason}`;
  return asksNothing ? "the stack has no gate" : undefined;
}

/** Waves in their order, each by region id. */
function groupByWave(regions: readonly RegionConfig[]): RegionConfig[][] {
  const ascending = regions.toSorted((a, b) => a.wave - b.wave || a.id - b.id);
  return [...Map.groupBy(ascending, ({ wave }) => wave).values()];
}
