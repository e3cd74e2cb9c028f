/** Paths of configuration values, as text: `derpkit:regions[1].nodes[0].derpPort`. */

/** Prefix of our keys in a stack's configuration. */
export const namespace = "derpkit:";

/** The path of a list's item or a mapping's member; below `undefined` lie the top-level keys. */
export function childPath(parent: string | undefined, key: string | number): string {
  if (parent === undefined) return `${namespace}${shorten(String(key))}`;
  if (typeof key === "number") return `${parent}[${key}]`;
  return /^[a-z_][\w-]{0,59}$/i.test(key) ? `${parent}.${key}` : `${parent}[${JSON.stringify(shorten(key))}]`;
}

/** The paths of a value and of everything it lies in, outermost first. */
export function pathsTo(keys: readonly (string | number)[]): string[] {
  const paths: string[] = [];
  for (const key of keys) paths.push(childPath(paths.at(-1), key));
  return paths;
}

function shorten(key: string): string {
  return key.length <= 60 ? key : `${key.slice(0, 59)}…`;
}
