/** One step of a region on its way out, as a change of its stack file. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { FleetConfig, RegionConfig } from "../../infra/config/fleet.ts";
import { parseFleetConfig } from "../../infra/config/parse.ts";
import { KitError } from "../../relay/errors.ts";
import { parseStackText } from "../cli/stack-file.ts";
import { nextOutcomes, type Outcome, orphansOf } from "./life.ts";
import { removeRegion, writeState } from "./region-text.ts";

export interface Step {
  readonly outcome: Outcome;
  /** As it was before. */
  readonly region: RegionConfig;
  /** The stack file's, after the step. */
  readonly text: string;
  /** Secrets that go with the region, by their names without namespace. */
  readonly orphans: readonly string[];
}

/**
 * Plans a region's next step. What comes out of it is a configuration that is right, and differs in nothing else.
 *
 * @param wanted code or id of the region
 * @param file for messages
 * @throws KitError `usage` if there is no such region, or no other; `config-invalid` if the fleet cannot do without it
 */
export function planStep(text: string, wanted: string, file: string): Step {
  const config = parse(text, file);
  const index = config.regions.findIndex(({ id, code }) => [code, String(id)].includes(wanted));
  const region = config.regions[index];
  if (region === undefined) {
    const known = config.regions.map(({ code }) => code).join(", ");
    throw usage(`There is no region ${JSON.stringify(wanted)} in the stack; it has ${known}.`, file);
  }
  const outcome = nextOutcomes[region.state];
  const orphans = outcome === "deleted" ? orphansOf(region, config) : [];
  if (outcome === "deleted" && config.regions.length === 1) {
    throw usage(
      "It is the stack's last region.",
      file,
      "Delete the stack's resources by `npm run pulumi -- destroy`: everything of a retired region may go.",
    );
  }
  const edited =
    outcome === "deleted" ? removeRegion(text, index, orphans) : writeState(text, index, outcome);
  requireSame(config, index, outcome, parse(edited, file));
  return { outcome, region, text: edited, orphans };
}

function parse(text: string, file: string): FleetConfig {
  const { config, secretKeys } = parseStackText(text, file);
  return parseFleetConfig({ where: file, values: Object.fromEntries(config), secretKeys });
}

/** An anchor may carry a change where nobody meant it. */
function requireSame(before: FleetConfig, index: number, outcome: Outcome, after: FleetConfig): void {
  const regions = before.regions.flatMap((region, at) => {
    if (at !== index) return [region];
    return outcome === "deleted" ? [] : [{ ...region, state: outcome }];
  });
  if (isDeepStrictEqual({ ...before, regions }, after)) return;
  const message =
    "shares a part with another, by an anchor, and the change would be of both; change it by hand";
  throw new KitError("config-invalid", { problems: [{ path: `derpkit:regions[${index}]`, message }] });
}

function usage(message: string, where: string, fix?: string): KitError {
  return new KitError("usage", { message, where, ...(fix === undefined ? {} : { fix }) });
}
