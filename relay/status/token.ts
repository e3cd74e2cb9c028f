/** Who may read /derpkit/status: whoever shows the token. Only its digest is kept. */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";

const minLength = 16;

/**
 * Reads the token's file, and gives the token's digest.
 *
 * @throws Error that says what is wrong, and nothing of what the file holds
 */
export async function readTokenDigest(file: string): Promise<Buffer> {
  const token = (await readFile(file, "utf8")).trim();
  // RFC 6750 allows less; what can be sent in a header as one word may be a token.
  if (!/^[!-~]*$/.test(token))
    throw new Error(`${file} has to hold one line of visible ASCII without blanks`);
  if (token.length < minLength) throw new Error(`the token in ${file} has less than ${minLength} characters`);
  return digestOf(token);
}

/** Compares in a time that tells nothing of the token, its length included. */
export function isToken(given: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(given), digest);
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
