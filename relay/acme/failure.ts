/** Why there is no certificate: one word for a metric, one message for a person. */
import type { Identifier } from "./identifier.ts";

/**
 * - `unreachable`: no answer came from the CA; `timeout`: the whole took too long;
 * - `answer`: what came is not ACME, or not what was ordered; `server`: the CA has a fault;
 * - `rate-limited`, `account`, `profile`, `replaced`: the CA takes no order, or not this one;
 * - `refused`: the CA does not issue for the name; `caa`: the name's owner does not let it;
 * - `dns`, `connection`, `tls`, `unauthorized`: the CA did not see the proof, from its first step to its last;
 * - `method`: the CA offers no proof that this relay has; `malformed`: the CA does not understand the request.
 */
export const acmeFailureKinds = [
  "unreachable",
  "timeout",
  "answer",
  "server",
  "rate-limited",
  "account",
  "profile",
  "replaced",
  "refused",
  "caa",
  "dns",
  "connection",
  "tls",
  "unauthorized",
  "method",
  "malformed",
] as const;
export type AcmeFailureKind = (typeof acmeFailureKinds)[number];

export interface AcmeFailureDetails {
  readonly reason: string;
  readonly retryAfterMs?: number | undefined;
  readonly identifier?: Identifier | undefined;
  readonly problemType?: string | undefined;
  readonly cause?: unknown;
}

/** An order or a question that failed. The message says what, for which name, what the CA said, and what to do. */
export class AcmeFailure extends Error {
  readonly kind: AcmeFailureKind;
  /** Why, in short: what the CA said, as far as it fits on a line. The message has it too. */
  readonly reason: string;
  /** For how long the CA wants to be left alone, in milliseconds, if it said so. */
  readonly retryAfterMs: number | undefined;
  /** Which of the names it is about, if it is about one. */
  readonly identifier: Identifier | undefined;
  /** What the CA calls it (RFC 8555, 6.7), without `urn:ietf:params:acme:error:`; undefined if the CA did not say. */
  readonly problemType: string | undefined;

  constructor(kind: AcmeFailureKind, message: string, details: AcmeFailureDetails) {
    super(message, { cause: details.cause });
    this.name = "AcmeFailure";
    this.kind = kind;
    this.reason = details.reason;
    this.retryAfterMs = details.retryAfterMs;
    this.identifier = details.identifier;
    this.problemType = details.problemType;
  }
}
