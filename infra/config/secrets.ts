/**
 * The keys that are secrets: the stack's own, and those that a region names as such; no others.
 *
 * They lie at the top level and are never looked at here: only such a key stays a secret all the way, as a value within a
 * list or mapping reaches the program in clear.
 */
import type { Problem } from "../../relay/errors.ts";
import { credentialKinds, namedAt } from "../bootstrap/credentials.ts";
import type { CloudName } from "../clouds/places.ts";
import { secretChannelOf } from "../clouds/secret-channel.ts";
import { secretsOfDelivery } from "./delivery.ts";
import { childPath } from "./path.ts";
import { itemsOf, type Members, membersOf, type Report, valid } from "./raw.ts";
import { secretNameSchema } from "./schema.ts";

/** A key of the configuration that a region names as a secret. */
interface SecretReference {
  /** Of the place that names it. */
  readonly path: string;
  readonly name: string;
}

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
  const written = [
    ...secretsOfDelivery(fleet),
    ...itemsOf(fleet["regions"]).flatMap((region, index) =>
      secretsOfRegion(membersOf(region), childPath(regions, index)),
    ),
  ];
  return written.flatMap(({ path, written: name }) => {
    const named = valid(secretNameSchema, name);
    return named === undefined ? [] : [{ path, name: named }];
  });
}

/**
 * Refuses secrets that cannot reach the region's machines.
 *
 * @param delivery as it was written
 */
export function checkSecretChannel(
  cloud: CloudName,
  region: Members,
  delivery: unknown,
  path: string,
  report: Report,
): void {
  if (hasSecretChannel(cloud, delivery)) return;
  for (const { path: at, instead } of secretsOfRegion(region, path)) {
    report(
      at,
      `names a secret, and ${noChannel(cloud)}; write ${instead}, or have the stack deliver: delivery.s3`,
    );
  }
}

/** What is sealed goes where the releases are, so the stack has to be the one that puts them there. */
export function hasSecretChannel(cloud: CloudName, delivery: unknown): boolean {
  return secretChannelOf(cloud) === "instance" || membersOf(delivery)["s3"] !== undefined;
}

/** Why, as a clause. */
export function noChannel(cloud: CloudName): string {
  return `none can reach a machine at ${cloud} where others publish its releases`;
}

/** Where a region names secrets, and what it writes there. */
function secretsOfRegion(region: Members, path: string) {
  return credentialKinds.flatMap(({ at, instead }) => {
    const written = namedAt(region, at);
    return written === undefined ? [] : [{ path: at.reduce<string>(childPath, path), written, instead }];
  });
}
