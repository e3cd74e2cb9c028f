/**
 * The manifest: what one region's nodes have to run. It is signed as a whole (signature.ts), and every file that it
 * names is known by size and SHA-256, so that nothing else has to be trusted on the way to a machine.
 *
 * An updater is replaced by way of manifests that are newer than itself, so it passes over members that it does not
 * know. A change that an older updater must not pass over is a new `format`.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { KitError, type Problem } from "../errors.ts";
import { parseCanonicalJson, renderCanonicalJson } from "./canonical-json.ts";
import { isPublicKey, maxTrustedKeys } from "./public-key.ts";

/** No manifest is longer, in bytes: room for hundreds of files. */
export const maxManifestBytes = 256 * 1024;

/** No file is longer, in bytes. Node.js itself, compressed, is about 50 MiB. */
const maxFileBytes = 128 * 1024 * 1024;

/** The manifest in a bundle, and its signature (signature.ts). */
export const manifestFile = "manifest.json";
export const signatureFile = "manifest.sig";

/** The relay in a bundle. */
export const relayFile = "relay.mjs";

/** Who may connect, in a bundle of a region that says so by a list; configurations name it. */
export const allowListFile = "allow-list.txt";

/** What each client may send, in a bundle of a region that limits it; configurations name it. */
export const rateConfigFile = "rate-config.json";

/** There in the bundle of a region that is on its way out; configurations name it. */
export const drainingFile = "draining.txt";

/** Folder among a machine's releases, in the place of a digest: files that it had before the first, by their paths in a bundle. */
export const fetchedBefore = "first";

/** The configuration of a node in a bundle. */
export const configFile = (node: string): string => `config/${node}.json`;

/** A node's or a region's name. */
export const labelSchema = v.pipe(
  v.string("has to be text"),
  v.regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "has to be a DNS label in lower case"),
);

/**
 * Relative, with slashes, in lower case: no segment is hidden, empty, `.` or `..`, and no two paths are one file where
 * case does not count.
 */
const filePath = v.pipe(
  v.string("has to be text"),
  v.maxLength(200, "has to be at most 200 characters"),
  v.regex(
    /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/,
    "has to be relative, of segments that begin with a-z or 0-9 and have only those, dots, hyphens and underscores",
  ),
);

/** Where else a file may be had; what comes from there is held to the same digest. */
const mirror = v.pipe(
  v.string("has to be text"),
  v.regex(/^https:\/\/[^\s#]{1,500}$/, "has to be a URL of HTTPS"),
);

export const fileSchema = v.object({
  mirrors: v.optional(v.array(mirror)),
  path: filePath,
  sha256: v.pipe(
    v.string("has to be text"),
    v.regex(/^[0-9a-f]{64}$/, "has to be 64 hex digits in lower case"),
  ),
  size: v.pipe(v.number("has to be a number"), v.safeInteger(), v.minValue(0), v.maxValue(maxFileBytes)),
});

export const versionSchema = v.pipe(
  v.string("has to be text"),
  v.regex(/^[0-9A-Za-z.+-]{1,100}$/, "has to be a version such as 0.1.0+0123456789ab"),
);

/** One key or two. Another number of keys would be nobody's, or more than a rotation needs. */
export const trustedKeysSchema = v.pipe(
  v.array(
    v.pipe(
      v.string("has to be text"),
      v.check(isPublicKey, "has to be an Ed25519 public key in base64, as derpkit:trustedKeys has it"),
    ),
    "has to be a list",
  ),
  v.minLength(1, "has to name a key"),
  v.maxLength(maxTrustedKeys, `has to name ${maxTrustedKeys} keys at most`),
);

const manifestSchema = v.object({
  format: v.literal(1, "is a format that this updater does not know"),
  stack: v.pipe(
    v.string("has to be text"),
    v.regex(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u, "has to be 1 to 200 characters on one line"),
  ),
  region: labelSchema,
  sequence: v.pipe(v.number("has to be a number"), v.safeInteger("has to be whole"), v.minValue(1)),
  version: versionSchema,
  files: v.array(fileSchema),
  nodes: v.array(v.object({ name: labelSchema, files: v.array(filePath) })),
  /** The keys that a node trusts once it has accepted the manifest (trusted-keys.ts); those that it does, if left out. */
  trustedKeys: v.optional(trustedKeysSchema),
});

/**
 * A file of the bundle: its path in the delivery folder and in a release, its SHA-256 as lower-case hex, its bytes' number,
 * and where else it may be had.
 */
export type ManifestFile = v.InferOutput<typeof fileSchema>;

export type Manifest = v.InferOutput<typeof manifestSchema>;

/** A manifest without its place in the order of releases. */
export type ManifestContent = Omit<Manifest, "format" | "sequence">;

/** Describes a file for a manifest. */
export function describeFile(path: string, bytes: Uint8Array): ManifestFile {
  return { path, sha256: sha256Hex(bytes), size: bytes.length };
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The folders above a file, outermost first: `a/b/c` gives `a` and `a/b`. */
export function parentFolders(path: string): string[] {
  const segments = path.split("/");
  return segments.slice(1).map((_, index) => segments.slice(0, index + 1).join("/"));
}

/** Puts content into its place in the order; files and nodes are sorted by name, keys by their text. */
export function buildManifest({ trustedKeys, ...content }: ManifestContent, sequence: number): Manifest {
  return {
    format: 1,
    ...content,
    ...(trustedKeys === undefined ? {} : { trustedKeys: trustedKeys.toSorted() }),
    sequence,
    files: content.files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    nodes: content.nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/**
 * The sequence of `content`: that of the manifest before if nothing changed since, else one more.
 *
 * @param previous the manifest that was published last for this stack and region; undefined if that is not known
 * @param first the sequence when `previous` is not known. A publisher passes the Unix time in seconds: one that lost
 *   its memory is then still above all that it ever published, as a sequence moves by one.
 */
export function nextSequence(
  previous: Manifest | undefined,
  content: ManifestContent,
  first: number,
): number {
  if (previous === undefined || previous.stack !== content.stack || previous.region !== content.region)
    return first;
  const unchanged = buildManifest(content, previous.sequence);
  return renderCanonicalJson(unchanged) === renderCanonicalJson(previous)
    ? previous.sequence
    : previous.sequence + 1;
}

/** The bytes of a manifest, to be signed and published: canonical JSON in UTF-8. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(renderCanonicalJson(manifest));
}

/**
 * Reads a manifest whose signature has been verified.
 *
 * Only the canonical form is taken: whoever reads the same bytes with another parser, as a shell script does, sees the
 * same content.
 *
 * @throws KitError `manifest-malformed` with each problem
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > maxManifestBytes) {
    throw new KitError("manifest-malformed", {
      message: `A release manifest is longer than ${maxManifestBytes} bytes.`,
    });
  }
  const value = parseCanonicalJson(bytes);
  if (value === undefined) {
    throw new KitError("manifest-malformed", { message: "A release manifest is not canonical JSON." });
  }
  const result = v.safeParse(manifestSchema, value);
  if (!result.success) throw malformed(result.issues.map(issueProblem));
  const problems = contradictions(result.output);
  if (problems.length > 0) throw malformed(problems);
  return result.output;
}

/** What the schema cannot say: names that occur twice, files that a node needs and the manifest does not list. */
function contradictions({ files, nodes, trustedKeys = [] }: Manifest): Problem[] {
  const paths = files.map((file) => file.path);
  const known = new Set(paths);
  return [
    ...repeated(paths).map((path) => ({ path, message: "is listed twice" })),
    ...paths
      .filter((path) => parentFolders(path).some((folder) => known.has(folder)))
      .map((path) => ({
        path,
        message: "lies in a folder that is listed as a file",
      })),
    ...repeated(nodes.map((node) => node.name)).map((path) => ({ path, message: "is a node twice" })),
    ...nodes.flatMap((node) => nodeContradictions(node, known)),
    ...repeated(trustedKeys).map(() => ({ path: "trustedKeys", message: "names a key twice" })),
  ];
}

function nodeContradictions(
  { name, files }: Manifest["nodes"][number],
  known: ReadonlySet<string>,
): Problem[] {
  const needed = [relayFile, configFile(name)].filter((path) => !files.includes(path));
  return [
    ...files
      .filter((path) => !known.has(path))
      .map((path) => ({ path: name, message: `needs ${path}, which is not listed` })),
    ...repeated(files).map((path) => ({ path: name, message: `names ${path} twice` })),
    ...needed.map((path) => ({ path: name, message: `lacks ${path}` })),
  ];
}

function repeated(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}

function issueProblem(issue: v.BaseIssue<unknown>): Problem {
  return { path: v.getDotPath(issue) ?? "manifest", message: issue.message };
}

function malformed(problems: readonly Problem[]): KitError {
  return new KitError("manifest-malformed", { problems });
}
