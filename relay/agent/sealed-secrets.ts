/** What a node makes of secrets that are sealed to its relay: whether they are its own and newer, and what they are. Pure. */
import type { KeyObject } from "node:crypto";
import { Box } from "../crypto/box.ts";
import { type PrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { KitError } from "../errors.ts";
import type { Identity } from "../updater/decision.ts";
import { sha256Hex } from "../updater/manifest.ts";
import {
  boxNonce,
  decodeSecretsDocument,
  type SecretBox,
  type SecretsDocument,
} from "../updater/secrets-document.ts";
import { findSigner } from "../updater/signature.ts";

/** The bytes of a document and of its signature. */
export interface SealedSecrets {
  readonly document: Uint8Array;
  readonly signature: Uint8Array;
}

/** Who the node is, and what its relay opens boxes with. */
export interface Recipient extends Identity {
  readonly privateKey: PrivateKey;
  readonly trustedKeys: readonly KeyObject[];
}

export interface OpenedSecrets {
  readonly sequence: number;
  /** Values by the credentials' names. */
  readonly secrets: ReadonlyMap<string, string>;
}

/**
 * Opens a node's secrets, after it has been seen who signed them and for whom.
 *
 * @throws KitError `secrets-signature`, `secrets-malformed`, `secrets-foreign`; no message shows what a box holds
 */
export function openSealedSecrets(
  { document, signature }: SealedSecrets,
  recipient: Recipient,
): OpenedSecrets {
  if (findSigner(document, signature, recipient.trustedKeys) === undefined)
    throw new KitError("secrets-signature");
  const decoded = decodeSecretsDocument(document);
  refuseForeign(decoded, recipient);
  const { sequence, boxes } = decoded;
  const secrets = new Map(
    Object.entries(boxes).map(([name, box]) => [name, openBox(name, box, recipient.privateKey)]),
  );
  return { sequence, secrets };
}

/**
 * Refuses what is older than what was accepted before, and another of the same sequence.
 *
 * @param known the document that was accepted last, in whatever key it was sealed and signed
 * @throws KitError `secrets-replayed`, `secrets-malformed`
 */
export function refuseReplayedSecrets(known: Uint8Array | undefined, offered: Uint8Array): void {
  if (known === undefined || sha256Hex(known) === sha256Hex(offered)) return;
  const [before, now] = [decodeSecretsDocument(known).sequence, decodeSecretsDocument(offered).sequence];
  if (now > before) return;
  throw new KitError("secrets-replayed", {
    message:
      now === before
        ? `Other secrets with sequence ${before} have been accepted already.`
        : `The secrets have sequence ${now}, and ${before} has been accepted already.`,
  });
}

function refuseForeign(document: SecretsDocument, { stack, region, node, privateKey }: Recipient): void {
  if (document.stack !== stack || document.region !== region || document.node !== node) {
    throw new KitError("secrets-foreign", {
      message:
        `The secrets are for stack ${document.stack}, region ${document.region}, node ${document.node}; ` +
        `this is stack ${stack}, region ${region}, node ${node}.`,
    });
  }
  if (document.to !== publicKeyOf(privateKey).toString("hex")) {
    throw new KitError("secrets-foreign", {
      message: "The secrets are sealed to another key than the relay's.",
    });
  }
}

function openBox(name: string, { key, box }: SecretBox, privateKey: PrivateKey): string {
  const opened = Box.between(privateKey, Buffer.from(key, "base64"))?.open(
    Buffer.from(box, "base64"),
    boxNonce,
  );
  if (opened !== undefined) return opened.toString();
  throw new KitError("secrets-malformed", { message: `The box of ${name} cannot be opened.` });
}
