/**
 * The life of a stack's signing key: made, told to the machines, changed.
 *
 * Each function is a row of steps of which each is whole or did not happen, and which are in such an order that whoever is
 * interrupted between two of them gets to the same end by running it again.
 */
import type { KeyObject } from "node:crypto";
import { makeSigningKey, requireTrusted } from "../../infra/delivery/signing-key.ts";
import { KitError } from "../../relay/errors.ts";
import { encodePublicKey } from "../../relay/updater/public-key.ts";
import type { KeyStore } from "./key-store.ts";

export interface KeysOutcome {
  /** `made`: there is a key. `announced`: there is a next one, and machines have to be told. `changed`: that one signs. */
  readonly phase: "made" | "announced" | "changed";
  /** The public half of the key that signs. */
  readonly signer: string;
  /** `derpkit:trustedKeys` as it is now. */
  readonly trustedKeys: readonly string[];
  /** What it named before and does no more. */
  readonly dropped: readonly string[];
}

/**
 * Gives a stack its first key.
 *
 * @param local the key in a file that signed the stack's bundles before, if there is one: machines may trust it already
 * @throws KitError `signing-key-exists`
 */
export async function initKeys(store: KeyStore, local: KeyObject | undefined): Promise<KeysOutcome> {
  const named = await store.readTrusted();
  const isNamed = (key: KeyObject): boolean => named.includes(encodePublicKey(key));
  const present = await store.read("signingKey");
  if (present !== undefined && isNamed(present)) {
    throw new KitError("signing-key-exists", { where: store.where });
  }
  // A next key without one before it is of a rotation that nobody can end any more.
  await store.remove("nextSigningKey");
  // One that is there and not trusted is of an `init` that was interrupted.
  const key = present ?? (local !== undefined && isNamed(local) ? local : makeSigningKey());
  if (present === undefined) await store.write("signingKey", key);
  const own = encodePublicKey(key);
  const trustedKeys = isNamed(key) ? named : [own];
  await store.writeTrusted(trustedKeys);
  return { phase: "made", signer: own, trustedKeys, dropped: without(named, trustedKeys) };
}

/**
 * Goes a step on in changing the key: the first time the next one is made, the second time it takes its place.
 *
 * @throws KitError `signing-key-missing`, `signing-key-untrusted`
 */
export async function rotateKeys(store: KeyStore): Promise<KeysOutcome> {
  const current = await store.read("signingKey");
  if (current === undefined) throw new KitError("signing-key-missing", { where: store.where });
  const named = await store.readTrusted();
  requireTrusted(current, named, store.where);
  const next = await store.read("nextSigningKey");
  return next !== undefined && named.includes(encodePublicKey(next))
    ? changeKey(store, named, current, next)
    : announceKey(store, named, current, next);
}

/** The next key is not trusted by `named` when this begins; it is when it is over. */
async function announceKey(
  store: KeyStore,
  named: readonly string[],
  current: KeyObject,
  present: KeyObject | undefined,
): Promise<KeysOutcome> {
  const next = present ?? makeSigningKey();
  if (present === undefined) await store.write("nextSigningKey", next);
  const signer = encodePublicKey(current);
  const trustedKeys = [signer, encodePublicKey(next)];
  await store.writeTrusted(trustedKeys);
  return { phase: "announced", signer, trustedKeys, dropped: without(named, trustedKeys) };
}

/** The next key is there until the end: as long as it is, what was begun is known. */
async function changeKey(
  store: KeyStore,
  named: readonly string[],
  current: KeyObject,
  next: KeyObject,
): Promise<KeysOutcome> {
  if (!next.equals(current)) await store.write("signingKey", next);
  const signer = encodePublicKey(next);
  await store.writeTrusted([signer]);
  await store.remove("nextSigningKey");
  return { phase: "changed", signer, trustedKeys: [signer], dropped: without(named, [signer]) };
}

function without(before: readonly string[], now: readonly string[]): string[] {
  return before.filter((key) => !now.includes(key));
}
