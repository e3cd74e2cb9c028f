/**
 * The secrets that a relay is given as systemd credentials: files that only its process sees, and that are never on a disk.
 * Here, and nowhere else, it is said which there are, what the relay wants each for, and what of a region names it. Pure.
 */
import { relayUnit } from "../../relay/agent/places.ts";
import { parseMeshKeys } from "../../relay/config/mesh.ts";
import type { RelayConfigInput } from "../../relay/config/schema.ts";

interface CredentialKind {
  /** By which the relay's unit knows it. */
  readonly name: string;
  /** The relay's option that takes its file. */
  readonly option: keyof RelayConfigInput;
  /** Where in a region the key of the stack's configuration is named that has its value. */
  readonly at: readonly string[];
  /** What a region writes whose machines no secret can reach. */
  readonly instead: string;
  /** Whether the relay could do with a value. */
  readonly accepts: (value: string) => boolean;
  /** What it could do with, in words. */
  readonly wanted: string;
}

const isWord = (value: string): boolean => /^[!-~]+$/.test(value.trim());

/** Sorted by name. */
export const credentialKinds = [
  {
    name: "mesh-key",
    option: "meshPskFile",
    at: ["mesh"],
    instead: "one node, which needs none",
    accepts: (value) => parseMeshKeys(value) !== undefined,
    wanted: "64 hex digits, as `openssl rand -hex 32` gives, or several such lines, the one to show first",
  },
  {
    name: "status-token",
    option: "statusTokenFile",
    at: ["statusToken"],
    instead: "no statusToken: /healthz is for everybody",
    accepts: (value) => isWord(value) && value.trim().length >= 16,
    wanted: "one word of 16 characters or more, as `openssl rand -hex 32` gives",
  },
  {
    name: "tailnet-api",
    option: "admissionApiSecretFile",
    at: ["admission", "tailnetApi", "secret"],
    instead: "verifyClientUrl or allow, which need none",
    accepts: isWord,
    wanted: "the OAuth client's secret, one word",
  },
] as const satisfies readonly CredentialKind[];

/** What of a region names secrets. */
export interface SecretNames {
  readonly mesh?: string | undefined;
  readonly statusToken?: string | undefined;
  readonly admission: { readonly tailnetApi?: { readonly secret: string } | undefined };
}

type Kind = (typeof credentialKinds)[number];

/** A secret that a region's relays are given. */
export interface Credential {
  readonly kind: Kind;
  /** The key of the stack's configuration that has its value. */
  readonly key: string;
}

/** The credentials of a region's relays, sorted by name. */
export function credentialsOf(region: SecretNames): Credential[] {
  return credentialKinds.flatMap((kind) => {
    const key = namedAt(region, kind.at);
    return typeof key === "string" ? [{ kind, key }] : [];
  });
}

/** What a region, right or wrong, has at a path. */
export function namedAt(region: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, member) => Object(value)[member], region);
}

/** The path of a credential, as the relay sees it. */
export function credentialFile(name: Kind["name"]): string {
  return `/run/credentials/${relayUnit}/${name}`;
}

/** What is wrong with a secret's value, as a clause that shows nothing of it; undefined if nothing is. */
export function findSecretFault({ accepts, wanted }: Kind, value: string): string | undefined {
  return accepts(value) ? undefined : `is not what the relay needs; set it to ${wanted}`;
}
