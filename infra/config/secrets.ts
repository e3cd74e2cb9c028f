/**
 * The keys that are secrets: those, and only those, that a region names as such.
 *
 * They lie at the top level and are never looked at here: only such a key stays a secret all the way, as a value within a
 * list or mapping reaches the program in clear.
 */
import type { Problem } from "../../relay/errors.ts";
import { type SecretReference, secretsOfAdmission } from "./admission.ts";
import { secretsOfDelivery } from "./delivery.ts";
import { childPath } from "./path.ts";
import { itemsOf, membersOf } from "./raw.ts";

/** Top-level keys, without namespace. */
interface WrittenKeys {
  readonly secret: ReadonlySet<string>;
  readonly clear: ReadonlySet<string>;
  /** Those of the schema. */
  readonly known: ReadonlySet<string>;
}

/** Finds secrets that are missing, in clear, or nobody's. No message shows a value. */
export function findSecretProblems(
  named: readonly SecretReference[],
  { secret, clear, known }: WrittenKeys,
): Problem[] {
  const names = new Set(named.map(({ name }) => name));
  const wrong = named.flatMap(({ path, name }) => {
    if (known.has(name)) return [{ path, message: `is ${name}, a key of its own; choose another name` }];
    if (secret.has(name) || clear.has(name)) return [];
    const message = `names derpkit:${name}, which is missing; run \`pulumi config set --secret derpkit:${name}\``;
    return [{ path, message }];
  });
  const open = [...names]
    .filter((name) => clear.has(name) && !known.has(name))
    .map((name) => ({ path: childPath(undefined, name), message: openMessage(name) }));
  const strangers = [...secret]
    .filter((name) => !known.has(name) && !names.has(name))
    .map((name) => ({
      path: childPath(undefined, name),
      message: "is a secret that nothing here names; name it where it is needed, or remove it",
    }));
  return [...wrong, ...open, ...strangers];
}

function openMessage(name: string): string {
  return `is in clear, and a region names it as a secret; have a new one made, and run \`pulumi config set --secret derpkit:${name}\``;
}

/** Every place that names a secret. */
export function findSecretReferences(raw: unknown): SecretReference[] {
  const regions = childPath(undefined, "regions");
  const fleet = membersOf(raw);
  return [
    ...secretsOfDelivery(fleet),
    ...itemsOf(fleet["regions"]).flatMap((region, index) =>
      secretsOfAdmission(membersOf(region), childPath(regions, index)),
    ),
  ];
}
