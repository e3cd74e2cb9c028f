/** The ways out of service, one after the other. Pure. */
import { credentialKinds, namedAt } from "../../infra/bootstrap/credentials.ts";
import type { FleetConfig, RegionConfig } from "../../infra/config/fleet.ts";

/** What a step makes of a region. `deleted`: its entry is gone from the stack file. */
export type Outcome = "draining" | "retired" | "deleted";

/** The next step of a region that is on its way out, by its state. */
export const nextOutcomes: Readonly<Record<RegionConfig["state"], Outcome>> = {
  canary: "draining",
  serving: "draining",
  draining: "retired",
  retired: "deleted",
};

/** As the first word of a commit's message. */
export const verbs: Readonly<Record<Outcome, string>> = {
  draining: "Drain",
  retired: "Retire",
  deleted: "Delete",
};

/** Secrets that a region names and nothing else does: without it they would be nobody's, which is refused. */
export function orphansOf(
  region: RegionConfig,
  { regions, delivery }: Pick<FleetConfig, "regions" | "delivery">,
): string[] {
  const others = regions.filter(({ id }) => id !== region.id).flatMap(secretsOf);
  const named = new Set([...others, delivery?.s3?.secret]);
  return [...new Set(secretsOf(region))].filter((name) => !named.has(name));
}

function secretsOf(region: RegionConfig): string[] {
  return credentialKinds.flatMap(({ at }) => {
    const name = namedAt(region, at);
    return typeof name === "string" ? [name] : [];
  });
}

/** What to do now, one sentence each. */
export function describeNext(outcome: Outcome, stack: string, region: string): string[] {
  const up = `npm run pulumi -- up --stack ${stack}`;
  if (outcome === "deleted") {
    return [`Run \`${up}\`: it deletes the region's machines, addresses and keys for good.`];
  }
  const apply = `Run \`${up}\` and \`npm run verify\`, and put the derpMap into the tailnet policy`;
  const again = `npm run retire -- --stack ${stack} ${region}`;
  return outcome === "draining"
    ? [`${apply}.`, `Then run \`${again}\` again: it waits until nobody is at home there.`]
    : [
        `${apply}: the region is not in it. Its machines run on for clients whose map is old.`,
        `When the policy has been pushed, run \`${again}\` again; without credentials of the Tailscale API, with --policy-pushed.`,
      ];
}
