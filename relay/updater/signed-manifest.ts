/** A manifest as it is fetched: its bytes and who signed them. */
import type { KeyObject } from "node:crypto";
import { KitError } from "../errors.ts";
import { decodeManifest, type Manifest } from "./manifest.ts";
import { encodePublicKey } from "./public-key.ts";
import { verifyManifest } from "./signature.ts";

export interface SignedManifest {
  /** The bytes of manifest.json. */
  readonly manifest: Uint8Array;
  /** The bytes of manifest.sig. */
  readonly signature: Uint8Array;
}

/**
 * Reads a manifest that one of the keys has signed.
 *
 * @throws KitError `manifest-signature`, `manifest-malformed`
 */
export function openManifest(
  { manifest, signature }: SignedManifest,
  trustedKeys: readonly KeyObject[],
): Manifest {
  const signer = verifyManifest(manifest, signature, trustedKeys);
  const opened = decodeManifest(manifest);
  refuseLockOut(opened, encodePublicKey(signer));
  return opened;
}

/** Whoever takes the trust from the key that he signs with could never mend that. */
function refuseLockOut({ trustedKeys }: Manifest, signer: string): void {
  if (trustedKeys === undefined || trustedKeys.includes(signer)) return;
  throw new KitError("manifest-malformed", {
    problems: [{ path: "trustedKeys", message: "lacks the key that signed the manifest" }],
  });
}
