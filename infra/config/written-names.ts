/** Names of nodes as they were written, or else by default: undefined where what was written is none. */
import { defaultHostName, defaultNodeName } from "./fleet.ts";
import { type Members, valid } from "./raw.ts";
import { nodeSchema } from "./schema.ts";

/** @param index the node's place in its region */
export function writtenNodeName(
  node: Members,
  regionId: number | undefined,
  index: number,
): string | undefined {
  if (node["name"] !== undefined) return valid(nodeSchema.entries.name, node["name"]);
  return regionId === undefined ? undefined : defaultNodeName(regionId, index);
}

/** @param name of the node, which names its host by default */
export function writtenHostName(
  node: Members,
  name: string | undefined,
  domain: string | undefined,
): string | undefined {
  if (node["hostName"] !== undefined) return valid(nodeSchema.entries.hostName, node["hostName"]);
  return name === undefined || domain === undefined ? undefined : defaultHostName(name, domain);
}
