/**
 * The files that an updater keeps:
 *
 *     state/updater.json     what it must not forget (state.ts); on a VM it is on the volume that outlives it
 *     releases/<digest>/     the files of a release, and `.release.json`, whose SHA-256 is the folder's name
 *     current                a link to the release that runs
 *
 * Whatever has its final name is whole and on the disk: it was written under another name, flushed and renamed. So a
 * power cut at any point leaves nothing that the next start could mistake.
 */
import * as nodeFs from "node:fs/promises";
import path from "node:path";
import { KitError } from "../errors.ts";
import { type ManifestFile, parentFolders, sha256Hex } from "./manifest.ts";
import {
  decodeRelease,
  encodeRelease,
  essentialFiles,
  processDigest,
  type ReleaseContent,
  releaseDigest,
} from "./release.ts";
import type { Release } from "./service.ts";
import { decodeState, encodeState, initialState, type UpdaterState } from "./state.ts";
import { isSystemError } from "./system-error.ts";

/** What is used of node:fs/promises. */
export type FileSystem = Pick<
  typeof nodeFs,
  "mkdir" | "open" | "readFile" | "readdir" | "readlink" | "rename" | "rm" | "symlink" | "writeFile"
>;

/** No path of a manifest begins with a dot. */
const descriptionFile = ".release.json";

export class Machine {
  readonly #root: string;
  readonly #releases: string;
  readonly #stateFile: string;
  readonly #fs: FileSystem;

  /**
   * @param root absolute path of the folder that holds `state`, `releases` and `current`
   * @param stateFolder in the place of `state` in it
   */
  constructor(root: string, fs: FileSystem = nodeFs, stateFolder = path.join(root, "state")) {
    this.#root = root;
    this.#releases = path.join(root, "releases");
    this.#stateFile = path.join(stateFolder, "updater.json");
    this.#fs = fs;
  }

  /**
   * Reads the state; that of a new node if there is none.
   *
   * @throws KitError `updater-state-invalid`, `file-unreadable`
   */
  async readState(): Promise<UpdaterState> {
    const bytes = await onDisk(this.#stateFile, () => unlessMissing(this.#fs.readFile(this.#stateFile)));
    if (bytes === undefined) return initialState;
    try {
      return decodeState(bytes);
    } catch (cause) {
      throw new KitError("updater-state-invalid", { where: this.#stateFile, cause });
    }
  }

  /** Writes the state durably. */
  async writeState(state: UpdaterState): Promise<void> {
    await onDisk(this.#stateFile, async () => {
      const fresh = `${this.#stateFile}.new`;
      await this.#fs.mkdir(path.dirname(fresh), { recursive: true });
      await this.#fs.writeFile(fresh, encodeState(state), { flush: true });
      await this.#replace(fresh, this.#stateFile);
    });
  }

  /** Finds a release that is on this machine, whole and unaltered. */
  async findRelease(digest: string): Promise<Release | undefined> {
    const folder = path.join(this.#releases, digest);
    try {
      const content = await readDescription(folder, this.#fs);
      if (content === undefined) return undefined;
      for (const file of content.files) {
        if (sha256Hex(await this.#fs.readFile(path.join(folder, file.path))) !== file.sha256)
          return undefined;
      }
      return describeRelease(folder, content);
    } catch (error) {
      if (isSystemError(error)) return undefined;
      throw error;
    }
  }

  /** Finds a file of these contents in releases that are here, whole or not, so that it need not be fetched again. */
  async findFile(
    { path: name, sha256 }: ManifestFile,
    digests: readonly (string | undefined)[],
  ): Promise<Uint8Array | undefined> {
    for (const digest of digests.filter((each) => each !== undefined)) {
      const file = path.join(this.#releases, digest, name);
      const bytes = await this.#fs.readFile(file).catch(() => undefined);
      if (bytes !== undefined && sha256Hex(bytes) === sha256) return bytes;
    }
    return undefined;
  }

  /**
   * Puts a release in its place.
   *
   * @param fetch gives the bytes of a file, checked; what it throws leaves nothing behind
   * @throws KitError `file-unreadable`, on a full disk for example
   */
  async addRelease(
    content: ReleaseContent,
    fetch: (file: ManifestFile) => Promise<Uint8Array>,
  ): Promise<Release> {
    const folder = path.join(this.#releases, releaseDigest(content));
    const partial = `${folder}.partial`;
    await onDisk(folder, async () => {
      await this.#fs.rm(partial, { recursive: true, force: true });
      try {
        await this.#fill(partial, content, fetch);
        // A release of this name that is not whole would be in the way.
        await this.#fs.rm(folder, { recursive: true, force: true });
        await this.#replace(partial, folder);
      } catch (error) {
        await this.#fs.rm(partial, { recursive: true, force: true });
        throw error;
      }
    });
    return describeRelease(folder, content);
  }

  /** Makes `current` lead to a release. */
  async pointCurrent(release: Release): Promise<void> {
    const link = path.join(this.#root, "current");
    const target = path.join("releases", release.digest);
    await onDisk(link, async () => {
      if ((await this.#readLinkOrRemove(link)) === target) return;
      await this.#fs.rm(`${link}.new`, { force: true });
      await this.#fs.symlink(target, `${link}.new`);
      await this.#replace(`${link}.new`, link);
    });
  }

  /** Where a link leads; undefined if there is none. What is no link, as in a copy that followed links, is removed. */
  async #readLinkOrRemove(link: string): Promise<string | undefined> {
    try {
      return await unlessMissing(this.#fs.readlink(link));
    } catch (error) {
      if (!isSystemError(error) || error.code !== "EINVAL") throw error;
      await this.#fs.rm(link, { recursive: true });
      return undefined;
    }
  }

  /** Removes every release but those, and what a killed updater left half done. */
  async pruneReleases(keep: readonly (string | undefined)[]): Promise<void> {
    await onDisk(this.#releases, async () => {
      const names = (await unlessMissing(this.#fs.readdir(this.#releases))) ?? [];
      for (const name of names.filter((entry) => !keep.includes(entry))) {
        await this.#fs.rm(path.join(this.#releases, name), { recursive: true, force: true });
      }
    });
  }

  async #fill(
    folder: string,
    content: ReleaseContent,
    fetch: (file: ManifestFile) => Promise<Uint8Array>,
  ): Promise<void> {
    const inner = new Set(content.files.flatMap((file) => parentFolders(file.path)));
    const folders = [folder, ...[...inner].map((name) => path.join(folder, name))];
    for (const each of folders) await this.#fs.mkdir(each, { recursive: true });
    const write = (name: string, bytes: Uint8Array): Promise<void> =>
      this.#fs.writeFile(path.join(folder, name), bytes, { flag: "wx", flush: true });
    for (const file of content.files) await write(file.path, await fetch(file));
    await write(descriptionFile, encodeRelease(content));
    for (const each of folders) await this.#flushFolder(each);
  }

  /** Gives what is on the disk its final name, durably. */
  async #replace(fresh: string, final: string): Promise<void> {
    await this.#fs.rename(fresh, final);
    await this.#flushFolder(path.dirname(final));
  }

  /** A name is durable when its folder is flushed. */
  async #flushFolder(folder: string): Promise<void> {
    await using handle = await this.#fs.open(folder);
    await handle.sync();
  }
}

/**
 * Finds out which release a folder is said to be; undefined if it is none. Its files are not looked at: it may be that
 * somebody runs from it.
 */
export async function identifyRelease(folder: string): Promise<Release | undefined> {
  try {
    const content = await readDescription(folder, nodeFs);
    return content && describeRelease(folder, content);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** @throws the system's own error */
async function readDescription(
  folder: string,
  fs: Pick<FileSystem, "readFile">,
): Promise<ReleaseContent | undefined> {
  return decodeRelease(await fs.readFile(path.join(folder, descriptionFile)), path.basename(folder));
}

function describeRelease(folder: string, content: ReleaseContent): Release {
  const { code, config } = essentialFiles(content);
  return {
    digest: releaseDigest(content),
    version: content.version,
    folder,
    code: path.join(folder, code.path),
    config: path.join(folder, config.path),
    sha256: code.sha256,
    processDigest: processDigest(content),
  };
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (isSystemError(error) && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Does work on files; a failure of the disk becomes one that a person can mend. */
async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    throw new KitError("file-unreadable", {
      where,
      message: "The updater cannot read or write a file.",
      cause,
    });
  }
}
