/** Reads the stack's configuration and reports every mistake in it at once. */
import * as v from "valibot";
import { KitError, type Problem } from "../../relay/errors.ts";
import { findCollisions } from "./collisions.ts";
import { findContradictions } from "./contradictions.ts";
import { buildFleetConfig, type FleetConfig } from "./fleet.ts";
import { childPath, namespace, pathsTo } from "./path.ts";
import { fleetSchema } from "./schema.ts";
import { findSecretProblems, findSecretReferences, isStackSecret } from "./secrets.ts";
import { findSecrets, findStrangers, secretMessage, shapeOf } from "./structure.ts";

/** A stack's configuration as Pulumi hands it to a program. */
export interface ConfigSource {
  /** Whose configuration it is, for messages: a file or a stack. */
  readonly where: string;
  /** Key with namespace to value; a list or mapping is JSON text. Keys of other namespaces are passed over. */
  readonly values: Readonly<Record<string, string>>;
  /** Keys whose value is, or holds, a secret. */
  readonly secretKeys: ReadonlySet<string>;
}

/**
 * Reads the keys below `derpkit:`.
 *
 * @throws KitError `config-invalid` with every problem, each with its path
 */
export function parseFleetConfig(source: ConfigSource): FleetConfig {
  const { values: written, misplaced, secret } = decodeValues(source);
  const clear = new Set(Object.keys(written));
  // What was meant to be a secret is looked at no more, whether it is one or not.
  const references = findSecretReferences(written);
  const named = new Set(references.map(({ name }) => name));
  const values = Object.fromEntries(
    Object.entries(written).filter(
      ([name]) => knownKeys.has(name) || !(named.has(name) || isStackSecret(name)),
    ),
  );
  const claims = [
    ...misplaced,
    ...findSecretProblems(references, { secret, clear, known: knownKeys }),
    ...findSecrets(values),
    ...findStrangers(fleetSchema, values),
  ];
  const result = v.safeParse(fleetSchema, values);
  const problems = [
    ...claims,
    ...renderIssues(result.issues ?? [], claims),
    ...findCollisions(values),
    ...findContradictions(values),
  ];
  if (result.success && problems.length === 0) return buildFleetConfig(result.output);
  throw new KitError("config-invalid", {
    message: `The configuration has ${problems.length === 1 ? "a mistake" : `${problems.length} mistakes`}.`,
    where: source.where,
    problems: problems.sort((a, b) => naturalOrder.compare(a.path, b.path)),
  });
}

/** So that `regions[2]` comes before `regions[10]`. */
const naturalOrder = new Intl.Collator("en", { numeric: true });

interface Decoded {
  readonly values: Readonly<Record<string, unknown>>;
  /** Secrets in the place of what is none. */
  readonly misplaced: readonly Problem[];
  /** Keys, without namespace, that are secrets and none of the schema's. */
  readonly secret: ReadonlySet<string>;
}

/** Decodes the values of our keys. A secret is not even looked at, so that no message can show it. */
function decodeValues({ values, secretKeys }: ConfigSource): Decoded {
  const decoded: [name: string, value: unknown][] = [];
  const misplaced: Problem[] = [];
  const secret = new Set<string>();
  for (const [key, text] of Object.entries(values)) {
    if (!key.startsWith(namespace)) continue;
    const name = key.slice(namespace.length);
    if (!secretKeys.has(key)) decoded.push([name, jsonKeys.has(name) ? decodeJson(text) : text]);
    else if (knownKeys.has(name))
      misplaced.push({ path: childPath(undefined, name), message: secretMessage });
    else secret.add(name);
  }
  return { values: Object.fromEntries(decoded), misplaced, secret };
}

const knownKeys: ReadonlySet<string> = new Set(Object.keys(fleetSchema.entries));

/** Keys whose values are lists, mappings, or true or false: whatever is no text. */
const jsonKeys = new Set(
  Object.entries(fleetSchema.entries)
    .filter(([, schema]) => {
      const shape = shapeOf(schema);
      return "item" in shape || "entries" in shape || shape.type === "boolean";
    })
    .map(([key]) => key),
);

/** What is not JSON stays text, and the schema says what belongs there. */
function decodeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Turns the schema's findings into problems, without those about values that a claim has dealt with. */
function renderIssues(issues: readonly v.BaseIssue<unknown>[], claims: readonly Problem[]): Problem[] {
  const claimed = new Set(claims.map(({ path }) => path));
  return issues
    .map(({ path, message }) => ({
      paths: pathsTo((path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)))),
      message,
    }))
    .filter(({ paths }) => !paths.some((path) => claimed.has(path)))
    .map(({ paths, message }) => ({ path: paths.at(-1) ?? namespace, message }));
}
