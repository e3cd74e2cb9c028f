/**
 * What a failed attempt tells of the next one, by one word for what went wrong. The words are those of the ACME client,
 * and two of the clockwork's own. Pure data.
 *
 * - `person`: nothing changes until a person changes something, so that haste is of no use.
 * - `validation`: the CA has looked and not seen the proof, which it counts (Let's Encrypt: 5 an hour); or nobody knows
 *   whether it has.
 * - `staging`: a staging CA would say the same, at no cost; so it is asked before production is again. The others cost
 *   nothing, or say something of this CA alone.
 * - `mayHaveIssued`: if it happens after the order was finalized, a certificate may have been issued all the same.
 */
import type { AcmeFailureKind } from "../acme/failure.ts";

export interface FailureTraits {
  readonly person?: true;
  readonly validation?: true;
  readonly staging?: true;
  readonly mayHaveIssued?: true;
}

export const failureTraits = {
  /** No answer came from the CA. */
  unreachable: { mayHaveIssued: true },
  /** The whole took too long. */
  timeout: { validation: true, staging: true, mayHaveIssued: true },
  /** What came is not ACME, or not what was ordered. */
  answer: { staging: true, mayHaveIssued: true },
  /** The CA has a fault. */
  server: { mayHaveIssued: true },
  "rate-limited": {},
  /** The account or its external binding is refused. */
  account: { person: true },
  /** The CA has no such profile. */
  profile: { person: true },
  /** The CA does not take the order as a renewal of that certificate. */
  replaced: {},
  /** The CA does not issue for the name. */
  refused: { person: true },
  /** The name's owner does not let this CA issue (RFC 8659). */
  caa: { person: true, validation: true, staging: true },
  dns: { validation: true, staging: true },
  connection: { validation: true, staging: true },
  tls: { validation: true, staging: true },
  unauthorized: { validation: true, staging: true },
  /** The CA offers no proof that this relay has. */
  method: { person: true },
  /** The CA does not understand the request. */
  malformed: { person: true },
  /** The certificate, or a file beside it, cannot be stored. */
  storage: { mayHaveIssued: true },
  /** The relay ended while an order was under way. */
  interrupted: { validation: true, mayHaveIssued: true },
} as const satisfies Record<AcmeFailureKind | "storage" | "interrupted", FailureTraits>;

export type FailureKind = keyof typeof failureTraits;
export const failureKinds = Object.keys(failureTraits) as readonly FailureKind[];

export function traitsOf(kind: FailureKind): FailureTraits {
  return failureTraits[kind];
}
