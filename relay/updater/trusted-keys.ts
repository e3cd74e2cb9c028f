/**
 * Which keys a node trusts: those it was booted with, until it takes a manifest that names others. These lie in the
 * node's memory (state.ts), and count for as long as the machine is one that was booted with the same keys: keys that are
 * lost are replaced by building it anew with other ones. Stage 0 decides the same in shell (infra/bootstrap/stage0.ts).
 */
import type { KeyObject } from "node:crypto";
import { sha256Hex } from "./manifest.ts";
import { decodePublicKey } from "./public-key.ts";
import { parseTrustedKeys } from "./signature.ts";
import type { UpdaterState } from "./state.ts";

/** What a machine was booted with. */
export interface BootKeys {
  readonly keys: readonly KeyObject[];
  /** SHA-256 of the keys' files one after the other, as 64 lower-case hex digits. */
  readonly sha256: string;
}

/**
 * Reads the keys that a machine was booted with.
 *
 * @param pems one or two public keys as SubjectPublicKeyInfo in PEM, in the order of their files' names
 * @throws KitError `signing-key-invalid`
 */
export function readBootKeys(pems: readonly string[]): BootKeys {
  return { keys: parseTrustedKeys(pems), sha256: sha256Hex(Buffer.from(pems.join(""))) };
}

/** The keys that a manifest is now held to. */
export function effectiveKeys(boot: BootKeys, { keys }: UpdaterState): readonly KeyObject[] {
  return keys?.boot === boot.sha256 ? keys.trusted.map(decodePublicKey) : boot.keys;
}

/**
 * What is kept of the keys when a manifest is accepted.
 *
 * @param named the keys that the manifest names; undefined if it names none, and all stays as it is
 */
export function keepKeys(
  boot: BootKeys,
  { keys }: UpdaterState,
  named: readonly string[] | undefined,
): UpdaterState["keys"] {
  if (named !== undefined) return { boot: boot.sha256, trusted: [...named] };
  // Keys of a machine that is gone must not come back with one that boots as that one did.
  return keys?.boot === boot.sha256 ? keys : undefined;
}
