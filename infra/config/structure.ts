/**
 * What is wrong with the configuration's structure, before any single value is looked at: unknown keys, lists in the
 * place of mappings, secret values.
 */
import type * as v from "valibot";
import type { Problem } from "../../relay/errors.ts";
import { nearest } from "./nearest.ts";
import { childPath, namespace } from "./path.ts";

/**
 * Finds every unknown key, and lists where a mapping belongs.
 *
 * Valibot's strict object names the first unknown key only, and takes a list for an object.
 *
 * @param path of the value; undefined at the top
 */
export function findStrangers(schema: Shape, value: unknown, path?: string): Problem[] {
  const { entries, item } = shapeOf(schema);
  if (item !== undefined && Array.isArray(value)) {
    return value.flatMap((child, index) => findStrangers(item, child, childPath(path, index)));
  }
  if (entries === undefined || typeof value !== "object" || value === null) return [];
  const known = Object.keys(entries);
  if (Array.isArray(value)) {
    return [{ path: path ?? namespace, message: `is a list; write a mapping with ${known.join(", ")}` }];
  }
  return Object.entries(value).flatMap(([key, child]) => {
    const at = childPath(path, key);
    const entry = Object.hasOwn(entries, key) ? entries[key] : undefined;
    return entry === undefined
      ? [{ path: at, message: strangerMessage(key, known) }]
      : findStrangers(entry, child, at);
  });
}

/**
 * Finds the values that are written as secrets, at any depth: Pulumi reserves mappings with the single key `secure`.
 *
 * They are refused because only a top-level key stays secret: nested in a list or mapping, the engine decrypts the
 * value and hands it over unmarked, and it would lie in the state in clear.
 */
export function findSecrets(values: object): Problem[] {
  const found: Problem[] = [];
  const rest: [value: unknown, path: string | undefined][] = [[values, undefined]];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [value, path] = next;
    if (typeof value !== "object" || value === null) continue;
    if (path !== undefined && isSecure(value)) {
      found.push({ path, message: secretMessage });
    } else if (Array.isArray(value)) {
      for (const [index, child] of value.entries()) rest.push([child, childPath(path, index)]);
    } else {
      for (const [key, child] of Object.entries(value)) rest.push([child, childPath(path, key)]);
    }
  }
  return found;
}

/** Of every key that the schema knows: none takes a secret. */
export const secretMessage =
  "is or holds a secret, which would end up in clear in the state or the derpMap; write it without --secret or secure:";

/** As much of a schema as says what lies in a value: a mapping's members, a list's item, what is optional. */
export interface Shape extends v.GenericSchema {
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly wrapped?: Shape;
}

/** The shape of what a schema describes, whether it is optional or not. */
export function shapeOf(schema: Shape): Shape {
  return schema.wrapped === undefined ? schema : shapeOf(schema.wrapped);
}

function strangerMessage(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return `is not a known key; ${meant === undefined ? `remove it (known here: ${known.join(", ")})` : `did you mean ${meant}?`}`;
}

function isSecure(value: object): boolean {
  const members = Object.entries(value);
  return members.length === 1 && members[0]?.[0] === "secure" && typeof members[0][1] === "string";
}
