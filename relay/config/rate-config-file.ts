/** The rate limits on the disk. */
import type { RateLimit } from "../core/byte-bucket.ts";
import { KitError } from "../errors.ts";
import { readText } from "./files.ts";
import { parseRateConfig } from "./rate-config.ts";

/**
 * Reads the file of `-rate-config`.
 *
 * @returns undefined for no limit
 * @throws KitError `rate-config-invalid` or `file-unreadable`
 */
export async function loadRateConfig(path: string): Promise<RateLimit | undefined> {
  const limit = parseRateConfig(await readText(path, "The rate config cannot be read."));
  if (limit === "malformed") throw new KitError("rate-config-invalid", { where: path });
  return limit;
}
