/** Sealed secrets of a node of tests. The relay is tested without what seals for it, so boxes have keys that are drawn. */
import { generateKeyPairSync } from "node:crypto";
import { Box } from "../../crypto/box.ts";
import { generatePrivateKey, publicKeyOf } from "../../crypto/keys.ts";
import {
  boxNonce,
  decodeSecretsDocument,
  encodeSecretsDocument,
  type SecretsDocument,
} from "../../updater/secrets-document.ts";
import { signManifest } from "../../updater/signature.ts";
import type { Recipient, SealedSecrets } from "../sealed-secrets.ts";

export const signing = generateKeyPairSync("ed25519");

export const testRecipient: Recipient = {
  stack: "test",
  region: "fra",
  node: "901a",
  privateKey: generatePrivateKey(),
  trustedKeys: [signing.publicKey],
};

/** Seals as a publisher does. */
export function sealFor(
  secrets: ReadonlyMap<string, string>,
  sequence: number,
  { stack, region, node, privateKey }: Recipient = testRecipient,
): SealedSecrets {
  const to = publicKeyOf(privateKey);
  const boxes = Object.fromEntries(
    [...secrets].map(([name, value]) => {
      const own = generatePrivateKey();
      const box = Box.between(own, to)?.seal(Buffer.from(value), boxNonce);
      if (box === undefined) throw new Error("the key is of no use");
      return [name, { key: publicKeyOf(own).toString("base64"), box: box.toString("base64") }];
    }),
  );
  return sign({ format: 1, kind: "secrets", stack, region, node, to: to.toString("hex"), sequence, boxes });
}

/** Has a trusted signer say something else. */
export function changeDocument(
  { document }: SealedSecrets,
  change: (document: SecretsDocument) => void,
): SealedSecrets {
  const changed = decodeSecretsDocument(document);
  change(changed);
  return sign(changed);
}

function sign(document: SecretsDocument): SealedSecrets {
  const bytes = encodeSecretsDocument(document);
  return { document: bytes, signature: signManifest(bytes, signing.privateKey) };
}
