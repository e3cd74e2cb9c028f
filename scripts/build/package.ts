/** What the published package holds: the relay as one file, and the sources as JavaScript with their types. */
import { execFile } from "node:child_process";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { KitError } from "../../relay/errors.ts";
import type { RelayBundle } from "../../infra/delivery/relay-bundle.ts";

/** Read by a Node.js that may be too old for anything else, so they are published as they are. */
const plainFiles = ["infra/main.mjs", "scripts/run.mjs"];

/**
 * Fills a folder with what the package publishes.
 *
 * @param root absolute path of the project
 * @param programs each a file of its name
 * @param dist absolute path of the folder; what an earlier build left in it is removed, but for `bundles`, which
 *   `npm run bundle` writes and whose manifests carry their sequence on
 * @throws KitError `build-failed` with the compiler's messages
 */
export async function buildPackage(
  root: string,
  dist: string,
  programs: Readonly<Record<string, RelayBundle>>,
): Promise<void> {
  await mkdir(dist, { recursive: true });
  const stale = (await readdir(dist)).filter((name) => name !== "bundles");
  await Promise.all(stale.map((name) => rm(path.join(dist, name), { recursive: true })));
  await compile(root, dist);
  await Promise.all(plainFiles.map((file) => cp(path.join(root, file), path.join(dist, file))));
  for (const [name, { code, map }] of Object.entries(programs)) {
    await writeFile(path.join(dist, `${name}.mjs`), code);
    await writeFile(path.join(dist, `${name}.mjs.map`), map);
  }
}

/** Node runs no TypeScript under `node_modules`. */
async function compile(root: string, dist: string): Promise<void> {
  const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
  const tsc = path.join(path.dirname(manifest), "bin", "tsc");
  const args = [tsc, "-p", path.join(root, "tsconfig.build.json"), "--outDir", dist];
  try {
    await promisify(execFile)(process.execPath, args);
  } catch (cause) {
    throw new KitError("build-failed", { message: `The sources do not compile.\n${outputOf(cause)}` });
  }
}

/** The compiler writes its messages to standard output. */
function outputOf(error: unknown): string {
  return error instanceof Error && "stdout" in error ? String(error.stdout).trimEnd() : String(error);
}
