/** Paths of configuration values, as text: `derpkit:regions[1].nodes[0].derpPort`. */

import { quote, shorten } from "./show.ts";

/** Prefix of our keys in a stack's configuration. */
export const namespace = "derpkit:";

/** The path of a list's item or a mapping's member; below `undefined` lie the top-level keys. */
export function childPath(parent: string | undefined, key: string | number): string {
  if (typeof key === "number") return `${parent ?? namespace}[${key}]`;
  const isPlain = /^[a-z_][\w-]{0,59}$/i.test(key);
  if (parent === undefined) return `${namespace}${isPlain ? key : quote(shorten(key))}`;
  return isPlain ? `${parent}.${key}` : `${parent}[${quote(shorten(key))}]`;
}

/** The paths of a value and of everything it lies in, outermost first. */
export function pathsTo(keys: readonly (string | number)[]): string[] {
  const paths: string[] = [];
  for (const key of keys) paths.push(childPath(paths.at(-1), key));
  return paths;
}
