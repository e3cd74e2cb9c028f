/** Whether a mesh key is of use. Works on what was written, right or wrong. */
import { childPath } from "./path.ts";
import { itemsOf, type Members, type Report } from "./raw.ts";

export function checkMesh(region: Members, path: string, report: Report): void {
  if (region["mesh"] === undefined || itemsOf(region["nodes"] ?? [{}]).length > 1) return;
  report(childPath(path, "mesh"), "has no effect on one node; remove it, or write more nodes");
}
