/** The key that signs a stack's releases. */
import { createPrivateKey, type KeyObject } from "node:crypto";

/** Reads an Ed25519 private key: PKCS #8 in base64, on one line. @returns undefined for anything else */
export function parseSigningKey(text: string): KeyObject | undefined {
  try {
    const key = createPrivateKey({ key: Buffer.from(text, "base64"), format: "der", type: "pkcs8" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}
