/**
 * How the updater itself is replaced: it is a file of a release like the relay, and the link `updater` leads to the release
 * whose updater runs. A new one takes over when its release's relay is healthy and it has shown that it can read the
 * machine's memory and the delivery.
 */
import { readFile, readlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { pointLink } from "./link.ts";
import { updaterFile } from "./places.ts";
import { runTool } from "./systemctl.ts";

export interface TakeoverPlaces {
  /** The link that the updater's unit starts it from. */
  readonly link: string;
  /** Where the link led before, for the unit that goes back. */
  readonly previous: string;
  /** Digest of the release whose updater was gone back from. */
  readonly failed: string;
}

export function takeoverPlaces(root: string): TakeoverPlaces {
  return {
    link: path.join(root, "updater"),
    previous: path.join(root, "updater.previous"),
    failed: path.join(root, "updater.failed"),
  };
}

/** Digests of the releases that updaters run from, or may go back to. */
export async function releasesInUse({ link, previous }: TakeoverPlaces): Promise<string[]> {
  const targets = await Promise.all([link, previous].map((place) => readlink(place).catch(() => undefined)));
  return targets.filter((target) => target !== undefined).map((target) => path.basename(target));
}

/**
 * Has the updater of a release take over, if it is another than the one that runs.
 *
 * @param release its folder
 * @param log is told why it did not
 * @returns true if this process has to end, so that the other one is started
 */
export async function takeOver(
  release: string,
  places: TakeoverPlaces,
  log: (line: string) => void,
): Promise<boolean> {
  const { link, previous, failed } = places;
  const [digest, from] = [path.basename(release), await readlink(link).catch(() => undefined)];
  if (from !== undefined && path.basename(from) === digest) return false;
  if (from !== undefined && (await areEqual(path.resolve(path.dirname(link), from), release))) {
    await pointLink(link, path.join("releases", digest));
    return false;
  }
  if ((await readFile(failed, "utf8").catch(() => "")).trim() === digest) return false;
  const { ok, text } = await runTool(path.join(release, "runtime", "runtime"), [
    path.join(release, updaterFile),
    "--check",
  ]);
  if (!ok) {
    log(`the updater of the new release does not work, and this one goes on: ${text.trim()}`);
    await writeFile(failed, `${digest}\n`);
    return false;
  }
  if (from !== undefined) await pointLink(previous, from);
  await pointLink(link, path.join("releases", digest));
  return true;
}

/** The same program on the same runtime need not be started anew. */
async function areEqual(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all(
    [one, other].map(async (folder) => {
      const code = await readFile(path.join(folder, updaterFile)).catch(() => undefined);
      const runtime = await readlink(path.join(folder, "runtime")).catch(() => undefined);
      return { code, runtime };
    }),
  );
  if (a?.code === undefined || b?.code === undefined) return false;
  if (a.runtime === undefined || b.runtime === undefined) return false;
  return a.code.equals(b.code) && path.basename(a.runtime) === path.basename(b.runtime);
}
