/** The archive of a runtime, from wherever it may be had, and kept: the same bytes are needed again and again. */
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import type { RuntimeArchive } from "../bootstrap/runtimes.ts";
import { isErrno, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { buildAgents, type HttpOptions } from "../../relay/outbound/http.ts";
import { httpSource } from "../../relay/agent/http-source.ts";
import { sha256Hex } from "../../relay/updater/manifest.ts";

/** Bytes. Today's archives have some 35 MiB. */
const mostBytes = 128 * 1024 * 1024;
const withinMs = 600_000;

/** Where archives are kept, for all projects. */
export const runtimeCache = path.join(homedir(), ".cache", "derpkit", "runtimes");

/** The file that an archive is kept in. */
export function keptRuntime({ sha256 }: Pick<RuntimeArchive, "sha256">, cache: string): string {
  return path.join(cache, `${sha256}.tgz`);
}

/**
 * Reads an archive from the cache, or fetches it from the first of its mirrors that has it.
 *
 * @param cache folder, made if it is missing
 * @throws KitError `runtime-unreachable`
 */
export async function fetchRuntime(
  { file, sha256, mirrors }: RuntimeArchive,
  cache: string,
  env: HttpOptions["env"],
): Promise<Buffer> {
  const kept = keptRuntime({ sha256 }, cache);
  const known = await readFile(kept).catch((error: unknown) => {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  });
  if (known !== undefined && sha256Hex(known) === sha256) return known;
  const agentFor = buildAgents({ env });
  let refusal: unknown;
  for (const mirror of [...mirrors.flatMap((each) => ownMirror(each, env)), ...mirrors]) {
    const url = new URL(mirror);
    try {
      const source = httpSource({ base: new URL(".", url), agentFor });
      const signal = AbortSignal.timeout(withinMs);
      const bytes = await source.fetch(path.posix.basename(url.pathname), { maxBytes: mostBytes, signal });
      if (bytes === undefined) throw new KitError("delivery-unreadable", { where: mirror });
      if (sha256Hex(bytes) !== sha256) throw new KitError("bundle-tampered", { where: mirror });
      await mkdir(cache, { recursive: true });
      await writeWhole(kept, bytes, 0o644);
      return Buffer.from(bytes);
    } catch (error) {
      refusal = error;
    }
  }
  throw new KitError("runtime-unreachable", {
    where: mirrors.join(", "),
    cause: refusal,
    message: `The runtime ${path.posix.basename(file)} cannot be fetched.`,
  });
}

/**
 * Reads or fetches the archives of several machines, each once.
 *
 * @returns their bytes, by their path in a release
 * @throws KitError `runtime-unreachable`
 */
export async function fetchRuntimes(
  archives: Iterable<RuntimeArchive>,
  cache: string,
  env: HttpOptions["env"],
): Promise<ReadonlyMap<string, Buffer>> {
  const fetched = new Map<string, Buffer>();
  for (const archive of archives) {
    if (!fetched.has(archive.file)) fetched.set(archive.file, await fetchRuntime(archive, cache, env));
  }
  return fetched;
}

const publicRegistry = "https://registry.npmjs.org/";

/** The same in the registry that npm is set up with, which it tells the commands that it runs. */
function ownMirror(mirror: string, env: HttpOptions["env"]): string[] {
  const own = env["npm_config_registry"];
  if (own === undefined || !URL.canParse(own) || !mirror.startsWith(publicRegistry)) return [];
  return [`${own.replace(/\/$/, "")}/${mirror.slice(publicRegistry.length)}`];
}
