/** Where a policy is: the tailnet's policy service, or a file. */
import type { KitError } from "../../relay/errors.ts";

/** A policy as it was read. */
export interface Held {
  readonly text: string;
  /** Which version it is: what a write says that it replaces. */
  readonly version: string;
}

export type WriteOutcome =
  | { readonly kind: "written" }
  /** It is another version by now; nothing was written. */
  | { readonly kind: "changed" }
  /** No answer came, or one that says nothing: it may have been written. */
  | { readonly kind: "unknown"; readonly error: KitError };

export interface PolicyPlace {
  /** What messages call the policy, before line and column. */
  readonly name: string;
  /** @throws KitError */
  read(signal: AbortSignal): Promise<Held>;
  /**
   * Has a text judged by whoever will use it, and changes nothing.
   *
   * @returns warnings, none of which is in the way
   * @throws KitError `policy-refused`
   */
  validate(text: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Replaces that version, and no other. @throws KitError if surely nothing was written */
  write(text: string, version: string, signal: AbortSignal): Promise<WriteOutcome>;
}
