/** What the client was at, for the messages of its failures. */
import type { ChallengeMethod } from "./challenge.ts";
import type { Identifier } from "./identifier.ts";

export interface Authority {
  /** Of the directory. */
  readonly host: string;
  /** How the CA is called in CAA records, if it says so. */
  readonly caaIdentity?: string | undefined;
}

export interface Task {
  /** What the CA did not do, such as `took no order for a.example`. */
  readonly text: string;
  readonly phase: "information" | "account" | "order" | "validation" | "issuance";
  /** The name that it is about, if it is about one. */
  readonly identifier?: Identifier | undefined;
  /** The proof that the CA asked to see. */
  readonly method?: ChallengeMethod | undefined;
  /** Every proof that may be used. */
  readonly methods?: readonly ChallengeMethod[] | undefined;
}
