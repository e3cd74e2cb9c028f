/** Who is still at home at a region's nodes, as the nodes tell who shows the status token. */
import * as v from "valibot";
import { buildNode } from "../../infra/derpmap/build.ts";
import { describeError } from "../../relay/client/dial.ts";
import { KitError } from "../../relay/errors.ts";
import type { PlacedNode } from "../cli/stack-fleet.ts";
import { CheckFailed, isNotOurs } from "../verify/check.ts";
import { overFirstFamily, type Way } from "../verify/first-family.ts";
import { get, parsePage } from "../verify/http-get.ts";

/** What a node says, or why it says nothing, as a clause. */
export interface NodeHomes {
  readonly name: string;
  readonly homeConnections?: number;
  readonly uptimeSeconds?: number;
  readonly silent?: string;
}

/** For each question to a node. */
const answerMs = 10_000;
/** Clients come back to a relay that was restarted within seconds; one that is older has those that it will have. */
const settledSeconds = 60;

/** What is still missing until nobody is at home, as a clause; undefined if nothing is. */
export function describeMissing(homes: readonly NodeHomes[]): string | undefined {
  const missing = homes.flatMap(({ name, homeConnections = 0, uptimeSeconds = 0, silent }) => {
    if (silent !== undefined) return [`${name}: ${silent}`];
    if (homeConnections > 0) return [`${name}: ${homeConnections}`];
    if (uptimeSeconds >= settledSeconds) return [];
    return [`${name}: started ${uptimeSeconds} s ago, and clients may still come back`];
  });
  if (missing.length === 0) return undefined;
  const total = homes.reduce((sum, { homeConnections = 0 }) => sum + homeConnections, 0);
  return `${total} at home (${missing.join("; ")})`;
}

const statusSchema = v.object({ homeConnections: v.number(), uptimeSeconds: v.number() });

/**
 * Asks every node at once.
 *
 * @throws KitError `region-not-ready` if a node does not take the token: no waiting mends that
 */
export async function askHomes(nodes: readonly PlacedNode[], token: string, way: Way): Promise<NodeHomes[]> {
  return await Promise.all(
    nodes.map(async (node) => {
      const signal = AbortSignal.any([way.signal, AbortSignal.timeout(answerMs)]);
      try {
        return { name: node.name, ...(await askNode(node, token, { ...way, signal })) };
      } catch (error) {
        if (!isNotOurs(error)) throw error;
        return { name: node.name, silent: describeError(error) };
      }
    }),
  );
}

async function askNode(
  node: PlacedNode,
  token: string,
  way: Way,
): Promise<v.InferOutput<typeof statusSchema>> {
  const { status, body } = await overFirstFamily(buildNode(node.regionId, node), way, (route) =>
    get(route, "/derpkit/status", { Authorization: `Bearer ${token}` }, way.signal),
  );
  if (status === 401) {
    throw new KitError("region-not-ready", {
      where: `node ${node.name}`,
      message: "The node does not take the status token.",
      fix: "Give it the token that its relay has: the secret that the region's statusToken names, or DERPKIT_STATUS_TOKEN.",
    });
  }
  const page = status === 200 ? parsePage(statusSchema, body) : undefined;
  if (page === undefined) throw new CheckFailed(`it has no /derpkit/status (HTTP status ${status})`);
  return page;
}
