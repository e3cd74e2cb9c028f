/**
 * The runtime that a release brings: an archive whose digest the manifest gives, unpacked once and kept by that digest.
 * `runtime` in the release's folder leads to it.
 */
import { chmod, mkdir, readdir, readFile, readlink, rename, rm } from "node:fs/promises";
import path from "node:path";
import { KitError } from "../errors.ts";
import { sha256Hex } from "../updater/manifest.ts";
import { pointLink } from "./link.ts";
import { runtimeArchiveFolder } from "./places.ts";
import { runTool } from "./systemctl.ts";

/** What leads to the unpacked runtime. */
const link = "runtime";

/**
 * Unpacks a release's runtime unless it is there already.
 *
 * @param release the release's folder
 * @param runtimes where runtimes are kept, each in a folder of its digest
 * @throws KitError `runtime-unusable`
 */
export async function prepareRuntime(release: string, runtimes: string): Promise<void> {
  const place = path.join(release, link);
  const before = await readlink(place).catch(() => undefined);
  // The link was made from this very archive, which is long to read: whoever goes back to a release has no time for that.
  if (before !== undefined && (await isThere(path.join(release, before, "runtime")))) return;
  const [name] = await readdir(path.join(release, runtimeArchiveFolder)).catch(() => [] as string[]);
  if (name === undefined) throw unusable(release, "brings no runtime");
  const archive = path.join(release, runtimeArchiveFolder, name);
  const digest = sha256Hex(await readFile(archive));
  const folder = path.join(runtimes, digest);
  if (!(await isThere(path.join(folder, "runtime")))) await unpack(archive, folder);
  await pointLink(place, path.relative(release, folder));
}

/** Removes the runtimes that no release leads to. @param releases folders of releases */
export async function pruneRuntimes(runtimes: string, releases: readonly string[]): Promise<void> {
  const used = new Set<string>();
  for (const release of releases) {
    const target = await readlink(path.join(release, link)).catch(() => undefined);
    if (target !== undefined) used.add(path.basename(target));
  }
  for (const name of await readdir(runtimes).catch(() => [] as string[])) {
    if (!used.has(name)) await rm(path.join(runtimes, name), { recursive: true, force: true });
  }
}

/** Archives of npm have all below one folder, and the program in `bin`. */
async function unpack(archive: string, folder: string): Promise<void> {
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  const { ok, text } = await runTool("tar", [
    "--extract",
    "--gzip",
    `--file=${archive}`,
    `--directory=${partial}`,
    "--strip-components=2",
    "--no-same-owner",
    "--wildcards",
    "*/bin/node",
    "*/bin/bun",
  ]);
  const program = (await readdir(partial)).find((name) => name === "node" || name === "bun");
  // `tar` complains that one of the two names is not there.
  if (program === undefined) throw unusable(archive, `cannot be unpacked${ok ? "" : `: ${text.trim()}`}`);
  await rename(path.join(partial, program), path.join(partial, "runtime"));
  await chmod(path.join(partial, "runtime"), 0o755);
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
}

async function isThere(file: string): Promise<boolean> {
  return readdir(path.dirname(file)).then(
    (names) => names.includes(path.basename(file)),
    () => false,
  );
}

function unusable(where: string, what: string): KitError {
  return new KitError("runtime-unusable", { where, message: `The release's runtime ${what}.` });
}
