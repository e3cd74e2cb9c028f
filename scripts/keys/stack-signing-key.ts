/** The key that signs a stack's bundles. */
import type { KeyObject } from "node:crypto";
import process from "node:process";
import { namespace } from "../../infra/config/path.ts";
import type { StackSecret } from "../../infra/config/secrets.ts";
import type { FleetConfig } from "../../infra/config/fleet.ts";
import { parseSigningKey, requireTrusted, signingKeyVariable } from "../../infra/delivery/signing-key.ts";
import { loadSigningKey, signingKeyFile } from "../build/signing-key.ts";
import { openSecretConfig } from "../cli/pulumi-cli.ts";
import type { StackFile } from "../cli/stack-file.ts";

const name: StackSecret = "signingKey";

/**
 * The stack's secret, if it has one and machines to deliver to; else the environment's; else that of a file on this machine,
 * which is made if it is missing.
 *
 * @throws KitError `signing-key-invalid`, `signing-key-untrusted` if the stack's machines would not take what it signs,
 *   `pulumi-missing`, `pulumi-failed`, `file-unreadable`
 */
export async function readStackSigningKey(
  stackFile: StackFile,
  { regions, trustedKeys }: Pick<FleetConfig, "regions" | "trustedKeys">,
): Promise<KeyObject> {
  const { root, stack, file: where } = stackFile;
  const file = signingKeyFile(root, stack);
  if (regions.every(({ cloud }) => cloud === "local")) return loadSigningKey(file);
  const key = await findKey(stackFile, file, process.env[signingKeyVariable]);
  requireTrusted(key, trustedKeys, where);
  return key;
}

async function findKey(stackFile: StackFile, file: string, given: string | undefined): Promise<KeyObject> {
  if (stackFile.secretKeys.has(namespace + name)) {
    const written = await openSecretConfig(stackFile).read(name);
    return parseSigningKey(written, `${namespace}${name} of stack ${stackFile.stack}`);
  }
  return given === undefined ? await loadSigningKey(file) : parseSigningKey(given, signingKeyVariable);
}
