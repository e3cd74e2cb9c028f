/** Opens the policy that a command line names, and what is kept of pushes to it. */
import path from "node:path";
import { KitError } from "../../relay/errors.ts";
import { findProject, resolveStack, type StackFile } from "../cli/stack-file.ts";
import { readCredentials } from "../tailnet/credentials.ts";
import { PolicyApi } from "../tailnet/policy-api.ts";
import { policyFile } from "./file-place.ts";
import { digestOf, Keep } from "./keep.ts";
import type { PolicyPlace } from "./place.ts";

export interface PlaceFlags {
  readonly stack: string | undefined;
  /** A file, in the place of the API. */
  readonly policy: string | undefined;
  readonly api: string | undefined;
  /** Seconds. */
  readonly timeout: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly note: (words: string) => void;
}

/** What an OAuth client's token is asked for. */
export type Scope = "policy_file" | "policy_file:read";

export interface OpenPlace {
  readonly place: PolicyPlace;
  readonly keep: Keep;
  readonly stackFile: StackFile | undefined;
}

/**
 * Opens the policy that the flags name.
 *
 * @throws KitError `usage`, `stack-not-found`, `tailnet-credentials`
 */
export async function openPlace(flags: PlaceFlags, scope: Scope): Promise<OpenPlace> {
  const { stack, policy: file, api, env } = flags;
  if (file !== undefined && api !== undefined) throw usage("Give --policy or --api, not both.");
  const stackFile = stack === undefined ? undefined : await resolveStack(stack);
  const folder = path.join(stackFile?.root ?? findProject(), ".derpkit", "policy");
  if (file !== undefined) {
    const name = nameKept([stackFile?.stack, path.basename(file), digestOf(path.resolve(file)).slice(0, 8)]);
    return { place: policyFile(file), keep: new Keep(folder, name), stackFile };
  }
  const baseUrl = readApi(api ?? env["TAILSCALE_API_URL"]);
  const timeoutMs = readSeconds(flags.timeout) * 1_000;
  const tailnet = env["TS_TAILNET"]?.trim() || "-";
  const isUsual = baseUrl.origin === usualApi;
  const place = new PolicyApi({
    baseUrl,
    tailnet,
    credentials: readCredentials(env),
    scope,
    timeoutMs,
    env,
    onWait: (ms) => flags.note(`The API asks to be left alone for ${Math.ceil(ms / 1_000)} s.`),
  });
  const name = nameKept([
    stackFile?.stack,
    isUsual && stackFile !== undefined ? undefined : baseUrl.host,
    tailnet === "-" ? undefined : tailnet,
  ]);
  return { place, keep: new Keep(folder, name), stackFile };
}

const usualApi = "https://api.tailscale.com";

/** The URL is not shown: it may hold a password. */
function readApi(text: string | undefined): URL {
  const url = URL.parse(text?.trim() || usualApi);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw usage("--api takes an http or https URL, without a name and password in it.");
  }
  const isHere = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === "http:" && !isHere) {
    throw usage("--api takes https: credentials would travel in clear. http is for this machine alone.");
  }
  return url;
}

/** A name for files, of the parts that there are. */
function nameKept(parts: readonly (string | undefined)[]): string {
  return parts.flatMap((part) => (part === undefined ? [] : part.replaceAll(/[^\w.-]/g, "_"))).join("@");
}

function readSeconds(digits = "15"): number {
  const seconds = Number(digits);
  if (!(seconds > 0 && seconds <= 3_600)) {
    throw usage("--timeout takes seconds, more than 0 and at most 3600.");
  }
  return seconds;
}

function usage(message: string): KitError {
  return new KitError("usage", { message });
}
