/** What a CA answers (RFC 8555, section 7.1; RFC 9773, section 4.2; draft-ietf-acme-profiles), as far as it is used. */
import * as v from "valibot";

/** Whether a URL may be followed is decided where it is. */
const url = v.pipe(v.string(), v.maxLength(2_048), v.url());

export const directorySchema = v.object({
  newNonce: url,
  newAccount: url,
  newOrder: url,
  renewalInfo: v.optional(url),
  meta: v.optional(
    v.object({
      termsOfService: v.optional(v.string()),
      /** Each profile's name and description. */
      profiles: v.optional(v.record(v.string(), v.unknown())),
      caaIdentities: v.nullish(v.array(v.string())),
    }),
    {},
  ),
});
export type Directory = v.InferOutput<typeof directorySchema>;

const problem = v.optional(v.unknown());

export const orderSchema = v.object({
  status: v.picklist(["pending", "ready", "processing", "valid", "invalid"]),
  authorizations: v.pipe(v.array(url), v.maxLength(100)),
  finalize: url,
  certificate: v.optional(url),
  error: problem,
});
export type Order = v.InferOutput<typeof orderSchema>;

const challengeSchema = v.object({
  type: v.string(),
  url,
  /** Goes into a path for HTTP-01. Challenges of other types need have none. */
  token: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,512}$/))),
  status: v.optional(v.string()),
  error: problem,
});
export type Challenge = v.InferOutput<typeof challengeSchema>;

export const authorizationSchema = v.object({
  identifier: v.object({ type: v.string(), value: v.string() }),
  status: v.picklist(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  challenges: v.pipe(v.array(challengeSchema), v.maxLength(100)),
});
export type Authorization = v.InferOutput<typeof authorizationSchema>;

const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.transform((text) => new Date(text)),
  v.date(),
);

export const renewalInfoSchema = v.object({
  suggestedWindow: v.pipe(
    v.object({ start: time, end: time }),
    v.check(({ start, end }) => start < end, "the window ends before it begins"),
  ),
  explanationURL: v.fallback(v.optional(url), undefined),
});
