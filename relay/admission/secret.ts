/** Secrets that lie in files. */
import { readFile } from "node:fs/promises";

/**
 * Reads a secret, without the white space around it.
 *
 * @throws if the file cannot be read or does not hold one word of visible ASCII; the message never shows what it holds
 */
export async function readSecretFile(file: string): Promise<string> {
  const secret = (await readFile(file, "utf8")).trim();
  if (!/^[!-~]+$/.test(secret)) throw new Error(`${file} does not hold a secret: one word, nothing else`);
  return secret;
}
