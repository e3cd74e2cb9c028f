/** What `pulumi up` runs, by way of main.mjs. */
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import { KitError, renderError } from "../relay/errors.ts";
import { declareFleet, type ProgramOutputs, prepareFleet } from "./program.ts";

export const { derpMap, nodes } = await run();

async function run(): Promise<ProgramOutputs> {
  const stack = pulumi.getStack();
  // The engine tells them in the environment only; the SDK has a reader of its own and does not export it.
  const secretKeys: string[] = JSON.parse(process.env["PULUMI_CONFIG_SECRET_KEYS"] ?? "[]");
  try {
    const args = await prepareFleet({
      root: pulumi.getRootDirectory(),
      stack,
      where: `stack ${stack}`,
      secretKeys: new Set(secretKeys),
      now: new Date(),
      log: pulumi.log,
    });
    return declareFleet(args);
  } catch (error) {
    // Pulumi shows a RunError without its stack.
    throw error instanceof KitError ? new pulumi.RunError(renderError(error)) : error;
  }
}
