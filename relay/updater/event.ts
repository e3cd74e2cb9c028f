/** What an updater has to say, in the order in which it happens. */
import type { KitError } from "../errors.ts";
import type { Release } from "./service.ts";

export type UpdaterEvent =
  /** A new release is about to be started. */
  | { readonly kind: "trying"; readonly release: Release }
  /** A release is healthy: a new one, or the good one at the start or after a failure. */
  | { readonly kind: "running"; readonly release: Release }
  /** A manifest, a file or a release is not taken; what ran before goes on or runs again. */
  | { readonly kind: "refused"; readonly error: KitError };

/** Renders an event as one line for a log. */
export function renderUpdaterEvent(event: UpdaterEvent): string {
  if (event.kind === "trying") return `trying release ${event.release.version}`;
  if (event.kind === "running") return `release ${event.release.version} runs`;
  const { code, message, where } = event.error;
  return `refused: ${where === undefined ? "" : `${where}: `}${message} [${code}]`;
}
