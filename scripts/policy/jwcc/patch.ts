/** Changes of some members of an object and no others, as edits of its text. Pure. */
import { type ContainerChange, type Edit, editContainer, editValue, type Insertion } from "./edit.ts";
import type { Style } from "./style.ts";
import type { Json, JwccDocument, JwccValue } from "./tree.ts";

/** What becomes of a member: it gets a value, goes, or is an object of which some members change. */
export type Patch =
  | { readonly kind: "set"; readonly json: Json }
  | { readonly kind: "remove" }
  | { readonly kind: "members"; readonly members: readonly MemberPatch[] };

export interface MemberPatch {
  /** How it is written if it is not there. */
  readonly name: string;
  /** By which names it may be there. */
  readonly isName: (name: string) => boolean;
  /** Which members a new one comes behind; all of them if it is left out. */
  readonly isBehind?: (name: string) => boolean;
  readonly patch: Patch;
}

/** Edits of a value. One that is no object becomes one if it has to have members. */
export function patchValue(doc: JwccDocument, style: Style, value: JwccValue, patch: Patch): Edit[] {
  if (patch.kind === "remove") return [];
  if (patch.kind === "set") return editValue(doc, style, value, patch.json);
  if (value.kind === "object") return patchMembers(doc, style, value, patch.members);
  const created = create(patch);
  return created === undefined ? [] : editValue(doc, style, value, created);
}

function patchMembers(
  doc: JwccDocument,
  style: Style,
  value: JwccValue & { readonly kind: "object" | "array" },
  members: readonly MemberPatch[],
): Edit[] {
  const { items } = value;
  const edits: Edit[] = [];
  const removed = new Set<number>();
  const inserted: Insertion[] = [];
  for (const { name, isName, isBehind = () => true, patch } of members) {
    const index = items.findIndex((item) => isName(item.name));
    const item = items[index];
    const created = item === undefined ? create(patch) : undefined;
    if (item === undefined) {
      const after = items.findLastIndex((each) => isBehind(each.name));
      if (created !== undefined) inserted.push({ after, name, json: created });
    } else if (patch.kind === "remove") {
      removed.add(index);
    } else {
      edits.push(...patchValue(doc, style, item.value, patch));
    }
  }
  const change: ContainerChange = { removed, inserted };
  return [...edits, ...editContainer(doc, style, value, change)];
}

/** What a patch makes where nothing is; undefined for nothing. */
function create(patch: Patch): Json | undefined {
  if (patch.kind === "set") return patch.json;
  if (patch.kind === "remove") return undefined;
  const members = patch.members.flatMap(({ name, patch: inner }) => {
    const json = create(inner);
    return json === undefined ? [] : [[name, json] as const];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}
