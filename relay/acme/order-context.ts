/** What the steps of an order share. */
import type * as v from "valibot";
import type { HttpReply } from "../outbound/http.ts";
import type { ChallengeMethod } from "./challenge.ts";
import { AcmeFailure } from "./failure.ts";
import type { Identifier } from "./identifier.ts";
import type { Directory } from "./messages.ts";
import type { Messenger } from "./messenger.ts";
import type { Task } from "./task.ts";

/** What the CA will look for. */
export interface OfferedChallenge {
  readonly identifier: Identifier;
  readonly method: ChallengeMethod;
  /** Letters, digits, `-` and `_` only. */
  readonly token: string;
  readonly keyAuthorization: string;
}

export interface OrderRequest {
  /** At least one; the names of the CSR. */
  readonly identifiers: readonly Identifier[];
  /** Undefined leaves it to the CA. */
  readonly profile?: string | undefined;
  /** The certificate that the new one replaces, from `certificateId`. */
  readonly replaces?: string | undefined;
  /** By preference; the first that the CA offers is used. */
  readonly methods: readonly ChallengeMethod[];
  /** DER, from `buildCertificateRequest`. */
  readonly csr: Uint8Array;
  /** Makes an answer available to the CA. It is disposed of when the CA has looked, or something failed. */
  readonly answer: (challenge: OfferedChallenge) => Disposable | Promise<Disposable>;
  /** Called before the order is finalized; from then on there may be a certificate. What it throws ends the order. */
  readonly finalizing?: (() => Promise<void>) | undefined;
  /** Told what happens, for a log. */
  readonly step?: ((text: string) => void) | undefined;
}

export interface OrderContext {
  readonly messenger: Messenger;
  readonly directory: Directory;
  /** The account's URL. */
  readonly account: string;
  /** Of the account's key. */
  readonly thumbprint: string;
  readonly request: OrderRequest;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Something of the CA's as it was seen last. */
export interface Seen<T> {
  readonly url: string;
  readonly reply: HttpReply;
  readonly body: T;
}

/** Between two looks when the CA does not say: growing by half from the first to the longest. */
const [firstPauseMs, longestPauseMs] = [250, 5_000];

/** Reads an order or an authorization (POST-as-GET). */
export async function look<TSchema extends v.GenericSchema>(
  { messenger, account, signal }: OrderContext,
  url: string,
  schema: TSchema,
  task: Task,
): Promise<Seen<v.InferOutput<TSchema>>> {
  const reply = await messenger.post({ url, task, repeatable: true, by: { kid: account } }, signal);
  return { url, reply, body: messenger.read(reply, schema, task) };
}

/** Looks again until it is no longer so; the order's deadline ends it. A CA's Retry-After is heeded. */
export async function lookWhile<T>(
  { messenger, sleep, signal }: OrderContext,
  first: Seen<T>,
  again: () => Promise<Seen<T>>,
  isSo: (body: T) => boolean,
): Promise<Seen<T>> {
  let seen = first;
  for (let pauseMs = firstPauseMs; isSo(seen.body); pauseMs = Math.min(1.5 * pauseMs, longestPauseMs)) {
    await sleep(Math.max(messenger.retryAfter(seen.reply) ?? pauseMs, firstPauseMs), signal);
    seen = await again();
  }
  return seen;
}

/**
 * Sends what must not be sent twice. If the answer is lost, a look shows whether the request arrived.
 *
 * @param hasArrived what shows it
 */
export async function sendOnce<T>(
  send: () => Promise<Seen<T>>,
  again: () => Promise<Seen<T>>,
  hasArrived: (body: T) => boolean,
): Promise<Seen<T>> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof AcmeFailure) || !["unreachable", "server"].includes(error.kind)) throw error;
    const seen = await again();
    if (!hasArrived(seen.body)) throw error;
    return seen;
  }
}
