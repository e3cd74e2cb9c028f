/** Where a stack's signing keys are: their private halves are secrets of the stack, their public ones beside them in clear. */
import type { KeyObject } from "node:crypto";
import { namespace } from "../../infra/config/path.ts";
import { exposedMessage, type StackSecret } from "../../infra/config/secrets.ts";
import { parseSigningKey, renderSigningKey } from "../../infra/delivery/signing-key.ts";
import { readText } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import type { SecretConfig } from "../cli/pulumi-cli.ts";
import { readStackFile, replaceStackText, type StackFile } from "../cli/stack-file.ts";
import { writeTrustedKeys } from "./trusted-keys-text.ts";

export interface KeyStore {
  /** Whose keys they are, for messages. */
  readonly where: string;
  /** Undefined if the stack has none. @throws KitError `signing-key-invalid`, `config-invalid` for one in clear */
  read(name: StackSecret): Promise<KeyObject | undefined>;
  write(name: StackSecret, key: KeyObject): Promise<void>;
  /** Nothing if the stack has none. */
  remove(name: StackSecret): Promise<void>;
  /** `derpkit:trustedKeys`, empty if there are none. */
  readTrusted(): Promise<readonly string[]>;
  writeTrusted(keys: readonly string[]): Promise<void>;
}

/**
 * The store in a stack's file. It is read anew for each step: the CLI writes to it, too.
 *
 * @param signal nothing is changed any more once it is aborted; each function then throws its reason
 */
export function openKeyStore(
  { file, stack }: StackFile,
  secrets: SecretConfig,
  signal: AbortSignal,
): KeyStore {
  return {
    where: file,
    async read(name) {
      if (!(await hasSecret(file, name))) return undefined;
      return parseSigningKey(await secrets.read(name), `derpkit:${name} of stack ${stack}`);
    },
    async write(name, key) {
      signal.throwIfAborted();
      await secrets.write(name, renderSigningKey(key));
    },
    async remove(name) {
      signal.throwIfAborted();
      if (await hasSecret(file, name)) await secrets.remove(name);
    },
    async readTrusted() {
      const { config } = await readStackFile(file);
      return parseList(config.get(`${namespace}trustedKeys`));
    },
    async writeTrusted(keys) {
      signal.throwIfAborted();
      const text = await readText(file);
      const written = writeTrustedKeys(text, keys);
      if (written !== text) await replaceStackText(file, written);
    },
  };
}

/** True if the stack file has that secret. @throws KitError `config-invalid` if it has it in clear */
async function hasSecret(file: string, name: StackSecret): Promise<boolean> {
  const { config, secretKeys } = await readStackFile(file);
  const key = namespace + name;
  if (config.has(key) && !secretKeys.has(key)) {
    throw new KitError("config-invalid", { where: file, problems: [{ path: key, message: exposedMessage }] });
  }
  return secretKeys.has(key);
}

/** Whatever else is there is replaced. */
function parseList(text: string | undefined): string[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? list.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}
