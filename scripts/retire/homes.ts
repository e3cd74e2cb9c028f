/** Who is still at home at a region's nodes, and their letting go, for who shows the status token. */
import * as v from "valibot";
import { buildNode } from "../../infra/derpmap/build.ts";
import { describeError } from "../../relay/client/dial.ts";
import { KitError } from "../../relay/errors.ts";
import type { PlacedNode } from "../cli/stack-fleet.ts";
import { CheckFailed, isNotOurs } from "../verify/check.ts";
import { overFirstFamily, type Way } from "../verify/first-family.ts";
import { type Answer, ask, parsePage, type Question } from "../verify/http-get.ts";

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
const leavingSchema = v.object({ leaving: v.number(), overMs: v.number(), refusedMs: v.number() });

/** What a node that lets its clients go says: how many, within which time, and how long they are refused. */
export type Leaving = v.InferOutput<typeof leavingSchema>;

/** What came of asking a node. */
type Said<Told> = { readonly name: string } & (Told | { readonly silent: string });

/**
 * Asks every node at once.
 *
 * @throws KitError `region-not-ready` if a node does not take the token: no waiting mends that
 */
export async function askHomes(nodes: readonly PlacedNode[], token: string, way: Way): Promise<NodeHomes[]> {
  return await askEach(nodes, way, async (node, within) => {
    const { status, body } = await askNode(node, { method: "GET", path: "/derpkit/status" }, token, within);
    const page = status === 200 ? parsePage(statusSchema, body) : undefined;
    if (page === undefined) throw new CheckFailed(`it has no /derpkit/status (HTTP status ${status})`);
    return page;
  });
}

/**
 * Has every node let its clients go that are at home there.
 *
 * @throws KitError `region-not-ready`, as above
 */
export async function letClientsGo(
  nodes: readonly PlacedNode[],
  token: string,
  way: Way,
): Promise<Said<Leaving>[]> {
  return await askEach(nodes, way, async (node, within) => {
    const { status, body } = await askNode(node, { method: "POST", path: "/derpkit/let-go" }, token, within);
    if (status === 409) throw new CheckFailed("its relay has not heard yet that the region is draining");
    const page = status === 200 ? parsePage(leavingSchema, body) : undefined;
    if (page === undefined)
      throw new CheckFailed(`its relay cannot let its clients go (HTTP status ${status})`);
    return page;
  });
}

async function askEach<Told extends object>(
  nodes: readonly PlacedNode[],
  way: Way,
  question: (node: PlacedNode, within: Way) => Promise<Told>,
): Promise<Said<Told>[]> {
  return await Promise.all(
    nodes.map(async (node) => {
      const signal = AbortSignal.any([way.signal, AbortSignal.timeout(answerMs)]);
      try {
        return { name: node.name, ...(await question(node, { ...way, signal })) };
      } catch (error) {
        if (!isNotOurs(error)) throw error;
        return { name: node.name, silent: describeError(error) };
      }
    }),
  );
}

async function askNode(
  node: PlacedNode,
  question: Omit<Question, "headers">,
  token: string,
  way: Way,
): Promise<Answer> {
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await overFirstFamily(buildNode(node.regionId, node), way, (route) =>
    ask(route, { ...question, headers }, way.signal),
  );
  if (answer.status !== 401) return answer;
  throw new KitError("region-not-ready", {
    where: `node ${node.name}`,
    message: "The node does not take the status token.",
    fix: "Give it the token that its relay has: the secret that the region's statusToken names, or DERPKIT_STATUS_TOKEN.",
  });
}
