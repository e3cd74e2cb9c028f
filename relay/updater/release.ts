/** The part of a manifest that one node runs. Its digest names it, so a manifest that changes other nodes changes nothing here. */
import * as v from "valibot";
import { renderCanonicalJson } from "./canonical-json.ts";
import {
  allowListFile,
  drainingFile,
  configFile,
  fileSchema,
  labelSchema,
  type Manifest,
  type ManifestFile,
  rateConfigFile,
  relayFile,
  sha256Hex,
  versionSchema,
} from "./manifest.ts";

const releaseContentSchema = v.object({
  node: labelSchema,
  version: versionSchema,
  files: v.array(fileSchema),
});

export type ReleaseContent = v.InferOutput<typeof releaseContentSchema>;

/** What `manifest` has for `node`; undefined if it does not name it. */
export function selectRelease(manifest: Manifest, node: string): ReleaseContent | undefined {
  const entry = manifest.nodes.find(({ name }) => name === node);
  if (entry === undefined) return undefined;
  const files = manifest.files.filter((file) => entry.files.includes(file.path));
  return { node, version: manifest.version, files };
}

/** The bytes that are kept beside a release's files: canonical JSON, so that their digest is the release's. */
export function encodeRelease(content: ReleaseContent): Buffer {
  return Buffer.from(renderCanonicalJson(content));
}

/** Reads `encodeRelease`'s bytes; undefined if they are something else, or not those of the release named `digest`. */
export function decodeRelease(bytes: Uint8Array, digest: string): ReleaseContent | undefined {
  if (sha256Hex(bytes) !== digest) return undefined;
  const result = v.safeParse(releaseContentSchema, JSON.parse(Buffer.from(bytes).toString()));
  return result.success ? result.output : undefined;
}

/** The release's name: SHA-256 of its description as 64 lower-case hex digits. */
export function releaseDigest(content: ReleaseContent): string {
  return sha256Hex(encodeRelease(content));
}

/** What a relay that runs reads again when it is told to; all else it has from its start. */
const liveFiles: ReadonlySet<string> = new Set([allowListFile, drainingFile, rateConfigFile]);

/**
 * What a process of a release is made of, as SHA-256 in lower-case hex: everything but the files that it reads again. Of two
 * releases that agree in it, one takes the other's place without a start.
 */
export function processDigest({ node, version, files }: ReleaseContent): string {
  const made = files.filter(({ path }) => !liveFiles.has(path));
  // Where a file may be had is nothing to whoever has it.
  return releaseDigest({
    node,
    version,
    files: made.map(({ path, sha256, size }) => ({ path, sha256, size })),
  });
}

/** The relay and the node's configuration, which `decodeManifest` saw to be there. */
export function essentialFiles({ node, files }: ReleaseContent): {
  code: ManifestFile;
  config: ManifestFile;
} {
  const find = (path: string): ManifestFile => {
    const file = files.find((each) => each.path === path);
    if (file === undefined) throw new Error(`a release lacks ${path}`);
    return file;
  };
  return { code: find(relayFile), config: find(configFile(node)) };
}
