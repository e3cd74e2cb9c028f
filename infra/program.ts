/** The Pulumi program: configuration in, fleet and derpMap out. It starts no process. */
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import { KitError, renderError } from "../relay/errors.ts";
import type { CloudContext, PlannedNode, PreviousNode } from "./clouds/cloud.ts";
import { openClouds } from "./clouds/clouds.ts";
import type { FleetConfig } from "./config/fleet.ts";
import { parseFleetConfig } from "./config/parse.ts";
import { checkDerpMap } from "./derpmap/check.ts";
import type { DerpMap } from "./derpmap/derp-map.ts";
import { type Dns, noDns, type PlannedRecord } from "./dns/dns.ts";
import type { Release, Releases } from "./delivery/delivery.ts";
import { openDelivery, signingKeyName } from "./delivery/open.ts";
import { type RelayBundle, relayBundle } from "./delivery/relay-bundle.ts";
import { noGate, openGate } from "./gate.ts";
import { signingKeyVariable } from "./delivery/signing-key.ts";
import { describeNext, findWarnings } from "./next.ts";
import { RelayFleet, type RelayFleetArgs, type UnverifiedRegion } from "./relay-fleet.ts";

export interface ProgramContext extends CloudContext {
  /** Whose configuration it is, for messages: a file or a stack. */
  readonly where: string;
  /** Keys of the configuration, with namespace, whose value is or holds a secret. */
  readonly secretKeys: ReadonlySet<string>;
  /** What the last `up` published. */
  readonly releases: Releases;
}

export interface ProgramOutputs {
  /** Ready to paste into the tailnet policy. */
  readonly derpMap: DerpMap<pulumi.Input<string>>;
  /** The same as text. */
  readonly derpMapJson: pulumi.Output<string>;
  /** Regions that no gate was passed by, for `npm run derpmap -- --allow-unverified`. */
  readonly unverified: readonly UnverifiedRegion<pulumi.Input<string>>[];
  readonly nodes: readonly PlannedNode[];
  /** Of the nodes' names, made by the stack or to be made by hand. */
  readonly dnsRecords: readonly PlannedRecord[];
  /** What to do now, in words. */
  readonly next: readonly string[];
  /** What the stack published, for its next `up`: a stack that does not export it publishes everything anew each time. */
  readonly releases: Readonly<Record<string, pulumi.Input<Release>>>;
}

/** A fleet's resources, before they are declared. */
export interface PreparedFleet extends RelayFleetArgs {
  readonly config: FleetConfig;
  readonly log: CloudContext["log"];
}

/**
 * Reads the stack's configuration and opens its clouds, before any resource is declared.
 *
 * @throws KitError `config-invalid`, `region-in-use`, and whatever the clouds find wrong
 */
export async function prepareFleet(context: ProgramContext): Promise<PreparedFleet> {
  const { where, secretKeys, stack, previous } = context;
  const config = parseFleetConfig({ where, secretKeys, values: pulumi.runtime.allConfig() });
  refuseRemoval(config, previous);
  refuseOverdue(config, context);
  for (const warning of findWarnings(config)) context.log.warn(warning);
  const { regions, trustedKeys } = config;
  const relay = onlyOnce(relayBundle);
  const signingKey = findSigningKey(process.env);
  // Nobody who plans offline has the passphrase.
  const secretOf = context.offline ? unknownSecret : requireSecret;
  const delivery = await openDelivery(config, { ...context, secretOf }, signingKey, relay);
  return {
    config,
    log: context.log,
    regions,
    map: config.map,
    cloudOf: await openClouds(config, context),
    dns: await openDns(config, context),
    delivery,
    gate: regions.some(({ cloud }) => cloud !== "local") ? await openGate(config, relay) : noGate,
    boot: { stack, trustedKeys, deliveryUrl: delivery?.url ?? "" },
    secretOf,
  };
}

/** The key that signs releases: the stack's secret, or the environment's where the stack has none. */
function findSigningKey(env: NodeJS.ProcessEnv): string | undefined {
  return pulumi.runtime.getConfig(`derpkit:${signingKeyName}`) ?? env[signingKeyVariable];
}

function requireSecret(key: string): pulumi.Output<string> {
  return new pulumi.Config("derpkit").requireSecret(key);
}

function unknownSecret(): pulumi.Output<string> {
  return pulumi.secret(pulumi.output(pulumi.unknown)).apply(String);
}

/** Building the relay takes seconds. */
function onlyOnce(build: () => Promise<RelayBundle>): () => Promise<RelayBundle> {
  let built: Promise<RelayBundle> | undefined;
  return () => (built ??= build());
}

/** Declares the fleet's resources. Runs inside a Pulumi stack. */
export function declareFleet({ config, log, ...args }: PreparedFleet): ProgramOutputs {
  const { derpMap, unverified, nodes, records, releases } = new RelayFleet("derp", args);
  return {
    derpMap,
    derpMapJson: pulumi.output(derpMap).apply((map) => {
      checkMap(map, config, log);
      return JSON.stringify(map, null, 2);
    }),
    unverified,
    nodes,
    dnsRecords: records,
    next: describeNext(config, nodes, records),
    releases,
  };
}

/**
 * Looks at the map once all of it is known, which is after the clouds were asked. A strange address is a warning: whether
 * anybody reaches it is what gates find out.
 *
 * @throws RunError, which Pulumi shows without a stack
 */
function checkMap(map: DerpMap, { regions }: FleetConfig, log: PreparedFleet["log"]): void {
  const problems = checkDerpMap(map, { local: true });
  if (problems.length > 0)
    throw new pulumi.RunError(renderError(new KitError("derpmap-unfit", { problems })));
  const local = new Set(regions.filter(({ cloud }) => cloud === "local").map(({ id }) => id));
  const strange = checkDerpMap(map, { local });
  for (const { path, message } of strange) log.warn(`derpMap: ${path}: ${message}`);
}

async function openDns({ dns }: FleetConfig, { offline }: CloudContext): Promise<Dns> {
  if (dns.provider === "none" || dns.zone === undefined) return noDns(dns.ttl);
  const { openCloudflare } = await import("./dns/cloudflare.ts");
  return await openCloudflare(dns.zone, dns.ttl, offline);
}

/** A gate that was skipped for a while is not skipped for ever because nobody looked again. */
function refuseOverdue({ regions }: FleetConfig, { where, now }: ProgramContext): void {
  const today = now.toISOString().slice(0, 10);
  const problems = regions.flatMap(({ id, skipGate }) => {
    if (skipGate === undefined || skipGate.until >= today) return [];
    const message = `skipGate ended on ${skipGate.until} (${skipGate.reason}); remove it, or write another day`;
    return [{ path: `region ${id}`, message }];
  });
  if (problems.length > 0) throw new KitError("config-invalid", { where, problems });
}

/** The engine would refuse as well, for their resources are protected, but it does not know the way out. */
function refuseRemoval({ regions }: FleetConfig, previous: readonly PreviousNode[]): void {
  const present = new Set(regions.map(({ id }) => id));
  const gone = previous.filter(({ regionId, state }) => !present.has(regionId) && state !== "retired");
  if (gone.length === 0) return;
  const byRegion = Map.groupBy(gone, ({ regionId }) => regionId);
  throw new KitError("region-in-use", {
    problems: [...byRegion].map(([id, nodes]) => ({
      path: `region ${id}`,
      message: `is ${nodes[0]?.state} and no longer in the configuration`,
    })),
  });
}
