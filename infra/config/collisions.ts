/**
 * Values that may occur once in a fleet and occur twice. Works on what was written, right or wrong: a mistake in one
 * region must not hide a collision between two others.
 */
import type { Problem } from "../../relay/errors.ts";
import { childPath } from "./path.ts";
import { itemsOf, type Members, membersOf, valid } from "./raw.ts";
import { fleetSchema, nodeSchema, regionSchema } from "./schema.ts";
import { show } from "./show.ts";
import { writtenHostName, writtenNodeName } from "./written-names.ts";

/** Finds ids, codes, node names, host names and ports that two regions or nodes claim. Linear in the input's size. */
export function findCollisions(raw: unknown): Problem[] {
  const claims = new Claims();
  const { domain: written, regions } = membersOf(raw);
  const domain = valid(fleetSchema.entries.domain, written);
  for (const [index, region] of itemsOf(regions).entries()) {
    claimRegion(claims, membersOf(region), childPath(childPath(undefined, "regions"), index), domain);
  }
  return claims.problems;
}

function claimRegion(claims: Claims, region: Members, path: string, domain: string | undefined): void {
  const { id: idSchema, code, cloud, mesh } = regionSchema.entries;
  const id = claims.claim("region id", valid(idSchema, region["id"]), childPath(path, "id"));
  claims.claim("region code", valid(code, region["code"]), childPath(path, "code"));
  const key = valid(mesh, region["mesh"]);
  claims.claim("mesh key", key, childPath(path, "mesh"), "a mesh key belongs to one region");
  const isLocal = valid(cloud, region["cloud"]) === "local";
  for (const [index, written] of itemsOf(region["nodes"] ?? [{}]).entries()) {
    const node = membersOf(written);
    const at = childPath(childPath(path, "nodes"), index);
    const name = claims.claim("node name", writtenNodeName(node, id, index), childPath(at, "name"));
    claims.claim("host name", writtenHostName(node, name, domain), childPath(at, "hostName"));
    claims.claim("pin", valid(nodeSchema.entries.pin, node["pin"]), childPath(at, "pin"));
    if (isLocal) claimPorts(claims, node, at);
  }
}

/** Local nodes share one address, 127.0.0.1. DERP is TCP and STUN is UDP: those two may have the same number. */
function claimPorts(claims: Claims, node: Members, path: string): void {
  const { derpPort, stunPort } = nodeSchema.entries;
  claims.claim("TCP port on this machine", valid(derpPort, node["derpPort"]), childPath(path, "derpPort"));
  claims.claim("UDP port on this machine", valid(stunPort, node["stunPort"]), childPath(path, "stunPort"));
}

/** Remembers who claimed what first. */
class Claims {
  readonly problems: Problem[] = [];
  readonly #owners = new Map<string, string>();

  /**
   * Claims a value, if there is one.
   *
   * @returns the value; undefined if another has it, so that a default made from it does not report that once more
   */
  claim<Value extends string | number>(
    kind: string,
    value: Value | undefined,
    path: string,
    rule = `each ${kind} may occur once`,
  ): Value | undefined {
    if (value === undefined) return undefined;
    const owner = this.#owners.get(`${kind} ${value}`);
    if (owner === undefined) {
      this.#owners.set(`${kind} ${value}`, path);
      return value;
    }
    const message = `is ${show(value)}, and so is ${owner}; ${rule}`;
    this.problems.push({ path, message });
    return undefined;
  }
}
