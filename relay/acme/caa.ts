/** CAA records: which CA may issue for a name, and after which proof (RFC 8659; RFC 8657, section 4). */
import type { ChallengeMethod } from "./challenge.ts";

/**
 * Renders the record's data as a zone file has it, for example
 * `0 issue "letsencrypt.org; validationmethods=tls-alpn-01,http-01"`. Each method that may ever be used has to be there.
 *
 * @param ca the name by which the CA knows itself in CAA records, such as `letsencrypt.org`
 * @param methods none allows every method
 */
export function renderCaa(ca: string, methods: readonly ChallengeMethod[] = []): string {
  const limit = methods.length === 0 ? "" : `; validationmethods=${methods.join(",")}`;
  return `0 issue "${ca}${limit}"`;
}
