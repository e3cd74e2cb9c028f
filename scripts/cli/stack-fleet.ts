/** What a stack gives as it is now: from what its last `up` exported, or offline where that is all known. */
import * as v from "valibot";
import { isClosed } from "../../infra/config/fleet.ts";
import { parseFleetConfig } from "../../infra/config/parse.ts";
import { regionStates } from "../../infra/config/schema.ts";
import type { FleetNode } from "../../infra/clouds/cloud.ts";
import type { Releases } from "../../infra/delivery/delivery.ts";
import type { DerpMap } from "../../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import type { UnverifiedRegion } from "../../infra/relay-fleet.ts";
import { KitError } from "../../relay/errors.ts";
import { knownAfterUp, type ProgramResult, runProgram } from "./program.ts";
import { readStackOutputs } from "./pulumi-cli.ts";
import type { StackFile } from "./stack-file.ts";

/** As much of a node as says where it is. */
export type PlacedNode = Pick<
  FleetNode,
  | "name"
  | "regionId"
  | "regionCode"
  | "state"
  | "hostName"
  | "certName"
  | "ipv4"
  | "ipv6"
  | "derpPort"
  | "stunPort"
>;

export interface StackFleet {
  /** Of the regions that clients may be told of; of none, if none may. */
  readonly derpMap: DerpMap;
  /** Regions that no gate was passed by. */
  readonly unverified: readonly UnverifiedRegion[];
  readonly nodes: readonly PlacedNode[];
  /** What the last `up` published; nothing where it is not the stack that delivers. */
  readonly releases: Releases;
  /** Ids of the regions on this machine. */
  readonly local: ReadonlySet<number>;
  /** Codes of the regions whose relays let in only those they know. */
  readonly closed: ReadonlySet<string>;
}

/** As much of a fleet as the stack's outputs have of it. */
export type FleetOutputs = Omit<StackFleet, "local" | "closed">;

/**
 * Asks Pulumi's CLI for the stack's outputs. A stack whose regions are all on this machine, and one that has no outputs,
 * is planned instead: for the first that needs neither the CLI nor an `up`.
 *
 * @throws KitError `not-up-yet` if not everything is known offline, `config-invalid`, `derpmap-invalid`, and what the CLI fails by
 */
export async function readStackFleet(
  stackFile: StackFile,
  warn: (message: string) => void,
): Promise<StackFleet> {
  const { file: where, config, secretKeys } = stackFile;
  const { regions } = parseFleetConfig({ where, values: Object.fromEntries(config), secretKeys });
  const local = new Set(regions.filter(({ cloud }) => cloud === "local").map(({ id }) => id));
  const outputs = local.size === regions.length ? undefined : await readStackOutputs(stackFile);
  const closed = new Set(regions.filter(isClosed).map(({ code }) => code));
  if (outputs?.["derpMap"] !== undefined) return { ...parseOutputs(outputs, stackFile), local, closed };
  const { derpMap, unverified, nodes } = requireKnown(await runProgram(stackFile, warn), stackFile);
  return { derpMap, unverified, nodes, releases: {}, local, closed };
}

function requireKnown(planned: ProgramResult, { file, stack }: StackFile): ProgramResult {
  const { derpMap, unverified, nodes } = planned;
  if (!JSON.stringify([derpMap, unverified, nodes]).includes(knownAfterUp)) return planned;
  throw new KitError("not-up-yet", {
    where: file,
    message: `Stack ${stack} has no outputs, and its addresses are known only after its first \`up\`.`,
    fix: `Run \`npm run pulumi -- up --stack ${stack}\` first.`,
  });
}

const unverifiedSchema = v.array(v.object({ id: v.number(), reason: v.string(), region: v.unknown() }));

const releasesSchema = v.record(v.string(), v.object({ sequence: v.number(), content: v.string() }));

const nodesSchema = v.array(
  v.object({
    name: v.string(),
    regionId: v.number(),
    regionCode: v.string(),
    state: v.picklist(regionStates),
    hostName: v.string(),
    certName: v.string(),
    ipv4: v.string(),
    ipv6: v.string(),
    derpPort: v.number(),
    stunPort: v.number(),
  }),
);

/**
 * Reads a fleet from a stack's outputs. A stack that was last up with an earlier version of the kit lacks some of it. Where
 * nothing is said of who is unverified, nobody is taken for verified.
 *
 * @throws KitError `derpmap-invalid`
 */
export function parseOutputs(
  outputs: Readonly<Record<string, unknown>>,
  { stack }: Pick<StackFile, "stack">,
): FleetOutputs {
  const nodes = v.safeParse(nodesSchema, outputs["nodes"]);
  const unverified = v.safeParse(unverifiedSchema, outputs["unverified"]);
  if (!nodes.success || !unverified.success) {
    throw new KitError("derpmap-invalid", {
      where: `stack ${stack}`,
      message: "The stack's outputs are not those of a fleet.",
      fix: `Run \`npm run pulumi -- up --stack ${stack}\`, or export what createFleet gives, by the names it has.`,
    });
  }
  return {
    derpMap: parseDerpMap(JSON.stringify(outputs["derpMap"]), true),
    unverified: unverified.output.map(({ id, reason, region }) => {
      const parsed = parseDerpMap(JSON.stringify({ Regions: { [id]: region } })).Regions[id];
      if (parsed === undefined || parsed === null) throw new Error(`region ${id} was lost`);
      return { id, reason, region: parsed };
    }),
    nodes: nodes.output,
    releases: v.parse(v.fallback(releasesSchema, {}), outputs["releases"]),
  };
}
