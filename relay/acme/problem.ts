/** What a CA says went wrong: problem documents (RFC 7807) with the types and subproblems of RFC 8555, section 6.7. */
import * as v from "valibot";
import { advise } from "./advice.ts";
import { AcmeFailure, type AcmeFailureKind } from "./failure.ts";
import { type Identifier, identify } from "./identifier.ts";
import { findRetryAfter } from "./retry-after.ts";
import type { Authority, Task } from "./task.ts";

export interface Problem {
  /** Without the prefix of ACME's own; undefined if it is none of these. */
  readonly type: string | undefined;
  /** Made fit for a log: short, one line, no control characters. */
  readonly detail: string;
  readonly identifier: Identifier | undefined;
  /** At most five. */
  readonly subproblems: readonly Problem[];
}

const textSchema = v.fallback(v.string(), "");
const identifierSchema = v.fallback(v.optional(v.object({ type: v.string(), value: v.string() })), undefined);
/** Nothing in it is sure to be there, and nothing in it makes it unreadable. */
const problemSchema = v.object({
  type: textSchema,
  detail: textSchema,
  identifier: identifierSchema,
  subproblems: v.fallback(v.array(v.unknown()), []),
});

/**
 * Reads a problem document from JSON that has been parsed.
 *
 * @returns undefined if it is no object
 */
export function parseProblem(value: unknown): Problem | undefined {
  const document = v.safeParse(problemSchema, value);
  if (!document.success) return undefined;
  const { type, detail, identifier, subproblems } = document.output;
  return {
    type: /^urn:ietf:params:acme:error:([A-Za-z]{1,40})$/.exec(type)?.[1],
    detail: cleanText(detail),
    identifier: identifier && identify(cleanText(identifier.value)),
    // Subproblems have no subproblems (RFC 8555, 6.7.1).
    subproblems: subproblems.slice(0, 5).flatMap((sub) => parseProblem(dropSubproblems(sub)) ?? []),
  };
}

/** What came with a problem. */
export interface Circumstances {
  readonly authority: Authority;
  readonly task: Task;
  /** Status of the HTTP answer; undefined if the problem was inside a good one. */
  readonly status?: number | undefined;
  /** From the answer's Retry-After. */
  readonly retryAfterMs?: number | undefined;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Turns what the CA says into a failure. @param problem undefined if it says nothing that can be read */
export function failureOfProblem(problem: Problem | undefined, circumstances: Circumstances): AcmeFailure {
  const { authority, task, status, now } = circumstances;
  const telling = problem && findTelling(problem);
  const kind = classify(telling?.type, task.phase, status);
  const identifier = telling?.identifier ?? problem?.identifier ?? task.identifier;
  const fromText = kind === "rate-limited" ? findRetryAfter(problem?.detail ?? "", now) : undefined;
  return renderFailure(kind, {
    authority,
    task: { ...task, identifier },
    said: describe(problem, status),
    problemType: telling?.type,
    retryAfterMs: longer(circumstances.retryAfterMs, fromText),
    now,
  });
}

export interface FailureFacts {
  readonly authority: Authority;
  readonly task: Task;
  /** What is known of the cause; no full stop at its end. */
  readonly said: string;
  readonly problemType?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly now: number;
  readonly cause?: unknown;
  /** In the place of what is advised for the kind. */
  readonly advice?: string | undefined;
}

/** Puts the message together: who, what not, why, from when on again, and what to do. */
export function renderFailure(kind: AcmeFailureKind, facts: FailureFacts): AcmeFailure {
  const { authority, task, said, problemType, retryAfterMs, now, cause } = facts;
  const again =
    retryAfterMs === undefined ? "" : ` It may be asked again at ${renderTime(now + retryAfterMs)}.`;
  const advice = facts.advice ?? advise(kind, problemType, authority, task);
  const message = `The CA ${authority.host} ${task.text} (${kind}): ${said}.${again} ${advice}`;
  const { identifier } = task;
  return new AcmeFailure(kind, message, { reason: said, retryAfterMs, identifier, problemType, cause });
}

/** Text of others, fit for a line of a log: no control or direction characters, at most 300 characters. */
export function cleanText(text: string): string {
  const line = text
    .slice(0, 2_000)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim();
  return line.length <= 300 ? line : `${line.slice(0, 299)}…`;
}

const kinds: ReadonlyMap<string | undefined, AcmeFailureKind> = new Map([
  ["accountDoesNotExist", "account"],
  ["alreadyReplaced", "replaced"],
  ["badCSR", "malformed"],
  ["badNonce", "server"],
  ["badPublicKey", "account"],
  ["badSignatureAlgorithm", "account"],
  ["caa", "caa"],
  ["connection", "connection"],
  ["dns", "dns"],
  ["externalAccountRequired", "account"],
  ["incorrectResponse", "unauthorized"],
  ["invalidContact", "account"],
  ["invalidProfile", "profile"],
  ["orderNotReady", "malformed"],
  ["rateLimited", "rate-limited"],
  ["rejectedIdentifier", "refused"],
  ["serverInternal", "server"],
  ["tls", "tls"],
  ["unsupportedContact", "account"],
  ["unsupportedIdentifier", "refused"],
  ["userActionRequired", "account"],
]);

function classify(type: string | undefined, phase: Task["phase"], status = 0): AcmeFailureKind {
  const known = kinds.get(type);
  if (known !== undefined) return known;
  if (status === 429) return "rate-limited";
  if (status >= 500) return "server";
  if (phase === "validation") return "unauthorized";
  if (type === undefined) return "answer";
  // What is wrong with a new account is what it was made of, its binding above all.
  const isOfAccount = phase === "account" || (phase === "order" && type === "unauthorized");
  return isOfAccount ? "account" : "malformed";
}

/** A problem that only holds others together says less than they do. */
function findTelling(problem: Problem): Problem {
  const says = (one: Problem): boolean => kinds.has(one.type);
  const telling = problem.subproblems.find(says) ?? problem.subproblems[0];
  return says(problem) && telling?.type !== problem.type ? problem : (telling ?? problem);
}

function describe(problem: Problem | undefined, status: number | undefined): string {
  const bare = status === undefined ? "it does not say why" : `it answers ${status} and does not say why`;
  if (problem === undefined) return bare;
  const whole = quote(problem);
  const parts = problem.subproblems.map(quote).filter((part) => part !== "");
  const said = [whole, ...parts].filter((part) => part !== "").join("; ");
  return said === "" ? (problem.type === undefined ? bare : `it says ${problem.type}`) : `it says ${said}`;
}

function quote({ detail, identifier }: Problem): string {
  if (detail === "") return "";
  const about =
    identifier === undefined || detail.includes(identifier.value) ? "" : `of ${identifier.value} `;
  return `${about}“${detail.replace(/\.$/, "")}”`;
}

function dropSubproblems(value: unknown): unknown {
  return typeof value === "object" && value !== null ? { ...value, subproblems: [] } : value;
}

function longer(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function renderTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
