/** Whether the tailnet's clients are still told of a region: what the policy says, for who may ask. */
import { KitError } from "../../relay/errors.ts";
import { parsePolicy } from "../policy/merge.ts";
import { openPlace } from "../policy/open-place.ts";

/** Who asks, and how. */
export interface PolicyQuestion {
  readonly stack: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly note: (words: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks the policy service, with the credentials that `npm run policy` takes.
 *
 * @returns undefined if there are none
 * @throws KitError of the service, and `policy-invalid`
 */
export async function isInPolicy(
  id: number,
  { stack, env, note, signal }: PolicyQuestion,
): Promise<boolean | undefined> {
  const open = await openPlace(
    { stack, policy: undefined, api: undefined, timeout: undefined, env, note },
    "policy_file:read",
  ).catch((error: unknown) => {
    if (error instanceof KitError && error.code === "tailnet-credentials" && error.where === undefined)
      return undefined;
    throw error;
  });
  if (open === undefined) return undefined;
  const { text } = await open.place.read(signal);
  const { regions } = parsePolicy(text, open.place.name).part;
  return regions.has(String(id));
}
