/**
 * Seals a node's secrets to the key of its relay, so that they can lie wherever its releases do. Pure, and the same for the same
 * content: an `up` that changes nothing publishes the very same bytes.
 *
 * Each secret is in a NaCl box between the relay's key and an ephemeral one. That is not drawn at random but derived
 * (HKDF-SHA-256) from the seed of the signing key, with everything as context that the box is of: stack, region, node,
 * recipient, the credential's name and the SHA-256 of its value. This is sound, because
 *
 * - whoever has no signing key cannot tell what is derived from what is random: the seed is 32 random bytes that are used
 *   for nothing else than Ed25519, which hashes them with SHA-512 and no salt of ours;
 * - another value, or another recipient, has another ephemeral key, so that a key seals one value to one recipient, and the
 *   nonce need not differ;
 * - the value's digest is an input of a keyed function and shows nowhere. What shows is that a value has not changed, which
 *   the unchanged sequence says as well.
 *
 * Whoever has the signing key can try values that he can guess; they are beside it in the stack's configuration.
 */
import { createHash, hkdfSync, type KeyObject } from "node:crypto";
import { Box } from "../../relay/crypto/box.ts";
import { parseUntypedKey, privateKeyFromSeed, publicKeyOf } from "../../relay/crypto/keys.ts";
import { KitError } from "../../relay/errors.ts";
import { boxNonce, encodeSecretsDocument } from "../../relay/updater/secrets-document.ts";
import { signManifest } from "../../relay/updater/signature.ts";

export { contentDigest, secretsFile, secretsSignatureFile } from "../../relay/updater/secrets-document.ts";

/** A node, what its relay is to be given, and what that is opened with. */
export interface SecretsContent {
  readonly stack: string;
  /** The region's code. */
  readonly region: string;
  /** The node's name. */
  readonly node: string;
  /** The relay's public key: 64 hex digits. */
  readonly to: string;
  /** By the credential's name. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Its place in the order of what the node is given: higher than any before if the content is another. */
  readonly sequence: number;
}

/** The bytes of the two files. */
export interface SealedSecrets {
  readonly document: Buffer;
  readonly signature: Buffer;
}

/**
 * Seals and signs.
 *
 * @param signingKey private, Ed25519; the node trusts it
 * @throws KitError `secrets-foreign` if nothing can be sealed to the relay's key, `signing-key-invalid`
 */
export function sealSecrets(
  { stack, region, node, to, secrets, sequence }: SecretsContent,
  signingKey: KeyObject,
): SealedSecrets {
  const seed = seedOf(signingKey);
  const recipient = parseUntypedKey(to);
  if (recipient === undefined) throw nobody(node);
  const hex = recipient.toString("hex");
  const boxes = Object.fromEntries(
    [...secrets].map(([name, text]) => {
      const value = Buffer.from(text);
      const context = [stack, region, node, hex, name, sha256(value).toString("hex")];
      const own = privateKeyFromSeed(derive(seed, sha256(Buffer.from(JSON.stringify(context)))));
      const box = Box.between(own, recipient)?.seal(value, boxNonce);
      if (box === undefined) throw nobody(node);
      return [name, { key: publicKeyOf(own).toString("base64"), box: box.toString("base64") }];
    }),
  );
  const document = encodeSecretsDocument({
    format: 1,
    kind: "secrets",
    stack,
    region,
    node,
    to: hex,
    sequence,
    boxes,
  });
  return { document, signature: signManifest(document, signingKey) };
}

function nobody(node: string): KitError {
  return new KitError("secrets-foreign", {
    where: `node ${node}`,
    message: "Nothing can be sealed to what is said to be the key of the node's relay.",
  });
}

/** No other use of the seed has this salt. */
const salt = "derpkit sealed secrets 1";

function derive(seed: Uint8Array, info: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", seed, salt, info, 32));
}

/** The 32 bytes that an Ed25519 key is made from (RFC 8032, 5.1.5). */
function seedOf(key: KeyObject): Uint8Array {
  const { d } =
    key.type === "private" && key.asymmetricKeyType === "ed25519" ? key.export({ format: "jwk" }) : {};
  if (d === undefined) throw new KitError("signing-key-invalid");
  return Buffer.from(d, "base64url");
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
