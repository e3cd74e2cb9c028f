/** The rate limits on the disk. */
import { readFile } from "node:fs/promises";
import type { RateLimit } from "../core/byte-bucket.ts";
import { KitError } from "../errors.ts";
import { parseRateConfig } from "./rate-config.ts";

/**
 * Reads the file of `-rate-config`.
 *
 * @returns undefined for no limit
 * @throws KitError `rate-config-invalid` or `file-unreadable`
 */
export async function loadRateConfig(path: string): Promise<RateLimit | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new KitError("file-unreadable", { where: path, message: "The rate config cannot be read.", cause });
  }
  const limit = parseRateConfig(text);
  if (limit === "malformed") throw new KitError("rate-config-invalid", { where: path });
  return limit;
}
