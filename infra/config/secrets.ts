/**
 * The keys that are secrets: the stack's own, and those that a region names as such; no others.
 *
 * They lie at the top level and are never looked at here: only such a key stays a secret all the way, as a value within a
 * list or mapping reaches the program in clear.
 */
import type { Problem } from "../../relay/errors.ts";
import { type SecretReference, secretsOfAdmission } from "./admission.ts";
import { secretsOfDelivery } from "./delivery.ts";
import { childPath } from "./path.ts";
import { itemsOf, membersOf } from "./raw.ts";

/** The stack's own secrets, which `npm run keys` keeps, and what each is. No region can name them. */
export const stackSecrets = {
  signingKey: "The key that signs what is delivered: Ed25519, PKCS#8 in base64 on one line, or in PEM.",
  nextSigningKey: "The one that takes its place, while the machines are told of it.",
} as const;

export type StackSecret = keyof typeof stackSecrets;

/** True for the name of one of the stack's own secrets, without namespace. */
export function isStackSecret(name: string): name is StackSecret {
  return Object.hasOwn(stackSecrets, name);
}

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
    if (known.has(name) || isStackSecret(name))
      return [{ path, message: `is ${name}, a key of its own; choose another name` }];
    if (secret.has(name) || clear.has(name)) return [];
    const message = `names derpkit:${name}, which is missing; run \`pulumi config set --secret derpkit:${name}\``;
    return [{ path, message }];
  });
  const open = [...names]
    .filter((name) => clear.has(name) && !known.has(name) && !isStackSecret(name))
    .map((name) => ({ path: childPath(undefined, name), message: openMessage(name) }));
  const exposed = Object.keys(stackSecrets)
    .filter((name) => clear.has(name))
    .map((name) => ({ path: childPath(undefined, name), message: exposedMessage }));
  const strangers = [...secret]
    .filter((name) => !known.has(name) && !isStackSecret(name) && !names.has(name))
    .map((name) => ({
      path: childPath(undefined, name),
      message: "is a secret that nothing here names; name it where it is needed, or remove it",
    }));
  return [...wrong, ...open, ...exposed, ...strangers];
}

/** Of the stack's own secrets. */
export const exposedMessage =
  "is in clear, and whoever has read the file can sign; remove it and have another one made: `npm run keys -- --help`";

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
