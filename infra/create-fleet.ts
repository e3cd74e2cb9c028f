/** A fleet from the configuration of the stack that runs: all that a Pulumi program needs of the kit. */
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import { KitError, renderError } from "../relay/errors.ts";
import { readPrevious } from "./previous.ts";
import { declareFleet, type ProgramOutputs, prepareFleet } from "./program.ts";

/**
 * Declares the fleet that the stack's configuration describes.
 *
 * @example
 * import { createFleet } from "derpkit";
 * export const { derpMap, derpMapJson, unverified, nodes, dnsRecords, next, releases } = await createFleet();
 *
 * The next `up` looks at the outputs `nodes` and `releases`, and `npm run derpmap` at `derpMap` and `unverified`, by these names.
 *
 * @throws RunError, which Pulumi shows without a stack, with every mistake in the configuration
 */
export async function createFleet(): Promise<ProgramOutputs> {
  const stack = pulumi.getStack();
  // The engine tells them in the environment only; the SDK has a reader of its own and does not export it.
  const secretKeys: string[] = JSON.parse(process.env["PULUMI_CONFIG_SECRET_KEYS"] ?? "[]");
  try {
    const previous = await readPrevious();
    const args = await prepareFleet({
      root: pulumi.getRootDirectory(),
      stack,
      where: `stack ${stack}`,
      secretKeys: new Set(secretKeys),
      now: new Date(),
      offline: false,
      previous: previous.nodes,
      releases: previous.releases,
      log: pulumi.log,
    });
    return declareFleet(args);
  } catch (error) {
    // Pulumi shows a RunError without its stack.
    throw error instanceof KitError ? new pulumi.RunError(renderError(error)) : error;
  }
}
