/**
 * The relay as one file, the same bytes wherever and whenever it is built: no commit, time, path or region is in it.
 *
 * Node runs no TypeScript under `node_modules`, and the bundler is a development dependency, so the published package
 * brings the file ready made.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { BuildFailure, BuildOptions, BuildResult, Metafile } from "esbuild";
import { KitError, type Problem } from "../../relay/errors.ts";
import { packageVersion } from "../../relay/version.ts";
import { collectNotices } from "./notices.ts";

export interface RelayBundle {
  /** relay.mjs */
  readonly code: Buffer;
  /** relay.mjs.map */
  readonly map: Buffer;
  /** SHA-256 of `code`, lower-case hex: what /healthz says as `bundle`. */
  readonly sha256: string;
  /** `<package version>+<first 12 hex digits of the digest of the inputs>`. */
  readonly version: string;
}

export interface BuiltRelayBundle extends RelayBundle {
  /** What went into the bundle and what imports what, as the bundler saw it; paths are relative to the root. */
  readonly inputs: Metafile["inputs"];
}

/**
 * The relay of this kit: built from the sources where there are sources, else the one that the package ships.
 *
 * @throws KitError `build-failed`, or `file-unreadable` if the package is not whole
 */
export function relayBundle(): Promise<RelayBundle> {
  return programBundle("relay");
}

/** The updater of this kit, as `relayBundle` is the relay. @throws KitError as that does */
export function updaterBundle(): Promise<RelayBundle> {
  return programBundle("updater");
}

/** What is bundled: its main module, by the name that its file has. */
const programs = { relay: "relay/main.ts", updater: "relay/agent/main.ts" } as const;
type ProgramName = keyof typeof programs;

async function programBundle(what: ProgramName): Promise<RelayBundle> {
  const kit = path.join(import.meta.dirname, "../..");
  const runsFromSources = import.meta.filename.endsWith(".ts");
  if (!runsFromSources) return readRelayBundle(kit, what);
  const program = await buildProgram(kit, programs[what], what);
  // Its service, a process, would live as long as ours.
  await (await import("esbuild")).stop();
  return program;
}

/**
 * Bundles `entry`.
 *
 * @param root absolute path of the project
 * @param entry the relay's main module, relative to `root`
 * @throws KitError `build-failed` with each of the bundler's messages
 */
export function buildRelayBundle(root: string, entry = "relay/main.ts"): Promise<BuiltRelayBundle> {
  return buildProgram(root, entry, "relay");
}

/** Bundles the updater as `buildRelayBundle` does the relay. */
export function buildUpdaterBundle(root: string): Promise<BuiltRelayBundle> {
  return buildProgram(root, programs.updater, "updater");
}

/** @param what `relay`, or what else the file calls itself */
async function buildProgram(root: string, entry: string, what: ProgramName): Promise<BuiltRelayBundle> {
  // The first pass finds the inputs, from which the version follows; the second puts it in.
  const { inputs } = (await bundle(root, entry, what, "", "")).metafile;
  refuseForeignInputs(inputs);
  const notices = await collectNotices(root, Object.keys(inputs));
  const digest = await digestInputs(root, inputs, notices);
  const version = `${packageVersion}+${digest.slice(0, 12)}`;
  const { outputFiles } = await bundle(root, entry, what, version, notices);
  const [code, map] = [".mjs", ".mjs.map"].map((end) => outputFiles.find((file) => file.path.endsWith(end)));
  if (code === undefined || map === undefined) throw new Error("esbuild gave no code or no source map");
  return { ...describeBundle(Buffer.from(code.contents), Buffer.from(map.contents), what), inputs };
}

/**
 * Reads a bundle that was built earlier.
 *
 * @param folder where relay.mjs and relay.mjs.map are
 * @throws KitError `file-unreadable`
 */
export async function readRelayBundle(folder: string, what: ProgramName = "relay"): Promise<RelayBundle> {
  const file = path.join(folder, `${what}.mjs`);
  try {
    return describeBundle(await readFile(file), await readFile(`${file}.map`), what);
  } catch (cause) {
    throw new KitError("file-unreadable", {
      message: `The ${what}'s bundle is missing from the package.`,
      where: file,
      fix: "Install the package again.",
      cause,
    });
  }
}

/** CommonJS packages ask for Node's modules by `require`, which a module does not have by itself. */
const requireShim =
  'import { createRequire as createNodeRequire } from "node:module";\nconst require = createNodeRequire(import.meta.url);';

/** The bundle's first line: a person with nothing but the file can tell what it is, and so can `readRelayBundle`. */
const bannerOf = (what: ProgramName): string => `// derpkit ${what} `;

function describeBundle(code: Buffer, map: Buffer, what: ProgramName): RelayBundle {
  const [firstLine = ""] = code.toString("utf8", 0, 200).split("\n");
  const banner = bannerOf(what);
  if (!firstLine.startsWith(banner)) throw new Error(`the file does not begin with the ${what}'s version`);
  return {
    code,
    map,
    sha256: createHash("sha256").update(code).digest("hex"),
    version: firstLine.slice(banner.length),
  };
}

/** All that shapes the output besides the sources. Anything the bundler would look up elsewhere is fixed here. */
const options: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "esm",
  // Bun reads the same file, so syntax newer than the standard's edition is lowered although Node 24 has it.
  target: ["node24", "es2024"],
  // Stack traces name the functions that a person finds in the sources.
  minify: false,
  sourcemap: "linked",
  sourcesContent: true,
  legalComments: "inline",
  charset: "utf8",
  // Paths of modules stay as they are imported, so that a linked node_modules leaves no trace of where it is.
  preserveSymlinks: true,
  // Not the file, which would be an input that the list of inputs does not show.
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
};

async function bundle(
  root: string,
  entry: string,
  what: ProgramName,
  version: string,
  notices: string,
): Promise<BuildResult<{ metafile: true; write: false }>> {
  const esbuild = await import("esbuild");
  try {
    return await esbuild.build({
      ...options,
      absWorkingDir: root,
      entryPoints: [entry],
      // Nothing is written. Paths in the source map are relative to this one.
      outfile: `dist/${what}.mjs`,
      write: false,
      metafile: true,
      logLevel: "silent",
      define: {
        DERPKIT_VERSION: JSON.stringify(version),
        // `ws` would load native helpers from wherever Node finds some. They save nothing that DERP needs.
        "process.env.WS_NO_BUFFER_UTIL": '"1"',
        "process.env.WS_NO_UTF_8_VALIDATE": '"1"',
      },
      banner: { js: `${bannerOf(what)}${version}\n${requireShim}` },
      footer: { js: notices },
    });
  } catch (cause) {
    throw new KitError("build-failed", { where: entry, problems: buildProblems(cause), cause });
  }
}

function buildProblems(failure: unknown): Problem[] {
  return isBuildFailure(failure)
    ? failure.errors.map(({ location, text }) => ({
        path: location === null ? "relay" : `${location.file}:${location.line}:${location.column}`,
        message: text,
      }))
    : [];
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}

/** A module from outside of the project would put the place of the project into the bundle. */
function refuseForeignInputs(inputs: Metafile["inputs"]): void {
  const foreign = Object.keys(inputs).filter((input) => input.startsWith("..") || path.isAbsolute(input));
  if (foreign.length === 0) return;
  throw new KitError("build-failed", {
    message: "The relay would take modules from outside of the project.",
    problems: foreign.map((input) => ({ path: input, message: "lies outside of the project's folder" })),
    fix: "Run `npm ci` in the project's folder.",
  });
}

/**
 * The digest of all that goes into the bundle: SHA-256, lower-case hex, over a JSON list of the bundler's version, its
 * options, the notices and, by name, every input's name and SHA-256.
 */
async function digestInputs(root: string, inputs: Metafile["inputs"], notices: string): Promise<string> {
  const { version: bundler } = await import("esbuild");
  const files = await Promise.all(
    Object.keys(inputs).map(async (input) => {
      const content = await readFile(path.join(root, input));
      return [inputName(input), createHash("sha256").update(content).digest("hex")] as const;
    }),
  );
  files.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([bundler, options, notices, files]))
    .digest("hex");
}

/** `node_modules/<package>/…` wherever the package lies, and a path relative to the root for all else; with slashes. */
function inputName(input: string): string {
  const name = input.replaceAll("\\", "/");
  return name.slice(Math.max(0, name.lastIndexOf("node_modules/")));
}
