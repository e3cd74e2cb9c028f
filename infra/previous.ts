/** What the stack's last `up` left, as the engine remembers it. */
import * as pulumi from "@pulumi/pulumi";
import * as v from "valibot";
import type { PreviousNode } from "./clouds/cloud.ts";
import { regionStates } from "./config/schema.ts";
import type { Releases } from "./delivery/delivery.ts";

/** Of a node only what is asked for; a stack of an earlier version has nodes without some of it. */
const previousSchema = v.array(
  v.object({
    name: v.string(),
    regionId: v.number(),
    regionCode: v.string(),
    state: v.picklist(regionStates),
    location: v.string(),
    size: v.string(),
  }),
);

const releasesSchema = v.record(v.string(), v.object({ sequence: v.number(), content: v.string() }));

/** Of the stack's own outputs what the program asks for. */
export interface Previous {
  /** None before the first `up`, or if the outputs are not those of a fleet. */
  readonly nodes: readonly PreviousNode[];
  readonly releases: Releases;
}

/** Asks the engine for the stack's own outputs. It is a look, not a resource: nothing of it is kept in the state. */
export async function readPrevious(): Promise<Previous> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer: unknown = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name });
  const outputs = v.parse(
    v.fallback(v.object({ outputs: v.record(v.string(), v.unknown()) }), { outputs: {} }),
    answer,
  ).outputs;
  return {
    nodes: v.parse(v.fallback(previousSchema, []), outputs["nodes"]),
    releases: v.parse(v.fallback(releasesSchema, {}), outputs["releases"]),
  };
}
