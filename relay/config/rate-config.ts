/** The file of `-rate-config`: what each client may send. */
import * as v from "valibot";
import type { RateLimit } from "../core/byte-bucket.ts";
import { limits } from "../protocol/frame.ts";

const amount = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0);
const rateConfigSchema = v.object({
  PerClientRateLimitBytesPerSec: amount,
  PerClientRateBurstBytes: amount,
});

/**
 * Parses the file: derper's two numbers, both optional. The burst is at least the longest frame; a rate of 0 is none.
 *
 * @returns `malformed` if it is something else, undefined for no limit
 */
export function parseRateConfig(text: string): RateLimit | undefined | "malformed" {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return "malformed";
  }
  const result = v.safeParse(rateConfigSchema, document);
  if (!result.success || Array.isArray(document)) return "malformed";
  const { PerClientRateLimitBytesPerSec: bytesPerSecond, PerClientRateBurstBytes: burst } = result.output;
  if (bytesPerSecond === 0) return undefined;
  return { bytesPerSecond, burst: Math.max(burst, limits.sendPacket.max) };
}
