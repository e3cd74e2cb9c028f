/** What the stack's last `up` left, as the engine remembers it. */
import * as pulumi from "@pulumi/pulumi";
import * as v from "valibot";
import type { PreviousNode } from "./clouds/cloud.ts";
import { regionStates } from "./config/schema.ts";

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

/**
 * Asks the engine for the stack's own outputs. It is a look, not a resource: nothing of it is kept in the state.
 *
 * @returns no nodes before the first `up`, or if the outputs are not those of a fleet
 */
export async function readPreviousNodes(): Promise<readonly PreviousNode[]> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
  const answer: unknown = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name });
  const outputs = v.safeParse(v.object({ outputs: v.object({ nodes: previousSchema }) }), answer);
  return outputs.success ? outputs.output.outputs.nodes : [];
}
