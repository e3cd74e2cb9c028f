/** What a node's relay may be given: the newest secrets that are sealed to it, or else those that were accepted before. */
import { readIfThere } from "../config/files.ts";
import { parseKeyFile } from "../crypto/key-file.ts";
import { KitError } from "../errors.ts";
import { maxSecretsBytes, secretsFile, secretsSignatureFile } from "../updater/secrets-document.ts";
import { maxSignatureBytes } from "../updater/signature.ts";
import type { Source } from "../updater/source.ts";
import { keepSecrets, readKeptSecrets } from "./kept-secrets.ts";
import {
  type OpenedSecrets,
  openSealedSecrets,
  type Recipient,
  refuseReplayedSecrets,
  type SealedSecrets,
} from "./sealed-secrets.ts";

export interface ObtainOptions extends Omit<Recipient, "privateKey"> {
  readonly source: Source;
  /** Of the relay. */
  readonly keyFile: string;
  /** Where those that were accepted are kept. */
  readonly keptFile: string;
  /** Waits until a publisher that is at work has surely finished writing. */
  readonly settle: (signal: AbortSignal) => Promise<void>;
}

export interface ObtainedSecrets {
  /** Undefined until somebody has sealed anything to the relay. */
  readonly held: OpenedSecrets | undefined;
  /** Why what is delivered is not taken. */
  readonly refusal: KitError | undefined;
}

/**
 * Looks once for newer secrets and keeps them; gives what the relay is to have.
 *
 * @throws KitError `key-file-invalid`, `file-unreadable`
 */
export async function obtainSecrets(options: ObtainOptions, signal: AbortSignal): Promise<ObtainedSecrets> {
  const { keyFile, keptFile } = options;
  const key = await readIfThere(keyFile);
  // Before its first start a relay has none, and nobody can have sealed anything to it.
  if (key === undefined) return { held: undefined, refusal: undefined };
  const recipient = { ...options, privateKey: parseKeyFile(key, keyFile) };
  let kept: SealedSecrets | undefined;
  try {
    kept = await readKeptSecrets(keptFile);
    const offered = await lookTwice(options, kept, recipient, signal);
    if (offered !== undefined) return { held: offered, refusal: undefined };
  } catch (error) {
    return { held: reopen(kept, recipient), refusal: asRefusal(error, signal) };
  }
  return { held: reopen(kept, recipient), refusal: undefined };
}

/**
 * What was accepted before, without asking the delivery.
 *
 * @returns undefined if that is nothing, or is of another key or signer
 * @throws KitError `key-file-invalid`, `file-unreadable`
 */
export async function readAccepted(options: ObtainOptions): Promise<OpenedSecrets | undefined> {
  const { keyFile, keptFile } = options;
  const key = await readIfThere(keyFile);
  if (key === undefined) return undefined;
  return reopen(await readKeptSecrets(keptFile), { ...options, privateKey: parseKeyFile(key, keyFile) });
}

/** Two files cannot be replaced at one moment, so what may be a publisher at work is looked at again. */
async function lookTwice(
  options: ObtainOptions,
  kept: SealedSecrets | undefined,
  recipient: Recipient,
  signal: AbortSignal,
): Promise<OpenedSecrets | undefined> {
  try {
    return await look(options, kept, recipient, signal);
  } catch (error) {
    if (!(error instanceof KitError) || error.code !== "secrets-signature") throw error;
    await options.settle(signal);
    return look(options, kept, recipient, signal);
  }
}

/** Undefined if nothing is delivered. */
async function look(
  { node, source, keptFile }: ObtainOptions,
  kept: SealedSecrets | undefined,
  recipient: Recipient,
  signal: AbortSignal,
): Promise<OpenedSecrets | undefined> {
  const document = await source.fetch(secretsFile(node), { maxBytes: maxSecretsBytes, signal });
  const signature = await source.fetch(secretsSignatureFile(node), { maxBytes: maxSignatureBytes, signal });
  if (document === undefined && signature === undefined) return undefined;
  if (document === undefined || signature === undefined) throw new KitError("secrets-signature");
  const offered = { document, signature };
  const opened = openSealedSecrets(offered, recipient);
  refuseReplayedSecrets(kept?.document, document);
  if (kept === undefined || !areEqual(kept, offered)) await keepSecrets(keptFile, offered);
  return opened;
}

function areEqual(a: SealedSecrets, b: SealedSecrets): boolean {
  return Buffer.compare(a.document, b.document) === 0 && Buffer.compare(a.signature, b.signature) === 0;
}

/** What was accepted once is opened again while the relay has the same key and trusts the same signer. */
function reopen(kept: SealedSecrets | undefined, recipient: Recipient): OpenedSecrets | undefined {
  if (kept === undefined) return undefined;
  try {
    return openSealedSecrets(kept, recipient);
  } catch (error) {
    if (error instanceof KitError) return undefined;
    throw error;
  }
}

function asRefusal(error: unknown, signal: AbortSignal): KitError {
  if (error instanceof KitError) return error;
  if (!signal.aborted) throw error;
  return new KitError("delivery-unreadable", {
    message: "The delivery does not answer in time.",
    cause: error,
  });
}
