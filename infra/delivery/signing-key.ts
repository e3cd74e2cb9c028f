/** The key that signs what is delivered. No message here shows one. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { KitError } from "../../relay/errors.ts";
import { encodePublicKey } from "../../relay/updater/public-key.ts";

/** Has the key where the stack has none: in an environment that alone may sign. */
export const signingKeyVariable = "DERPKIT_SIGNING_KEY";

/** Makes a key: Ed25519. */
export function makeSigningKey(): KeyObject {
  return generateKeyPairSync("ed25519").privateKey;
}

/** The key as the stack's secret has it: PKCS#8 in base64, on one line. */
export function renderSigningKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "der" }).toString("base64");
}

/**
 * Reads a signing key: what `renderSigningKey` writes, or PEM. No error shows any of it.
 *
 * @param where whose key it is, for messages
 * @throws KitError `signing-key-invalid`
 */
export function parseSigningKey(text: string, where?: string): KeyObject {
  try {
    const isPem = text.startsWith("-----");
    const key = createPrivateKey(
      isPem ? text : { key: Buffer.from(text, "base64"), format: "der", type: "pkcs8" },
    );
    // Buffer passes over what is not base64, and the reader of DER over what follows a key.
    if (key.asymmetricKeyType === "ed25519" && (isPem || renderSigningKey(key) === text.trim())) return key;
  } catch {
    // Said below; the cause might quote the text.
  }
  throw new KitError("signing-key-invalid", where === undefined ? {} : { where });
}

/**
 * A manifest that machines would refuse is not even made.
 *
 * @param trustedKeys of the stack, as it is configured
 * @param where it is configured, for messages
 * @throws KitError `signing-key-untrusted`
 */
export function requireTrusted(signingKey: KeyObject, trustedKeys: readonly string[], where?: string): void {
  const own = encodePublicKey(signingKey);
  if (trustedKeys.includes(own)) return;
  throw new KitError("signing-key-untrusted", {
    ...(where === undefined ? {} : { where }),
    problems: [
      { path: "derpkit:trustedKeys", message: `lacks ${own}, the public half of the key that signs` },
    ],
  });
}
