/** Who looks after the certificates of a relay, by the option `certMode`. */
import { type FileSource, type FileSourceOptions, openFiles } from "./manual.ts";
import { openPinned } from "./pinned.ts";
import type { KeptSource } from "./source.ts";

/** How often the files are looked at. */
const lookEveryMs = 2_000;

/**
 * Opens what the mode asks for; it looks after itself until it is disposed of.
 *
 * @throws KitError `certificate-invalid` or `file-unreadable`: there is nothing to show
 */
export async function openCertificates(
  { config, certDir }: Pick<FileSourceOptions, "config" | "certDir">,
  context: Pick<FileSourceOptions, "log" | "now">,
): Promise<KeptSource> {
  const { certMode } = config;
  const options = { config, certDir, ...context };
  if (certMode === "manual") return keepLooking(await openFiles(options));
  if (certMode === "pinned") return keepLooking(await openPinned(options));
  throw new TypeError(`the settings let no mode ${certMode} through`);
}

/** One look at a time: a network file system that stands still must not pile them up. */
function keepLooking(source: FileSource): KeptSource {
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= source.look().finally(() => (looking = undefined));
  }, lookEveryMs).unref();
  return {
    ...source,
    // A look that is under way only reads, and may take for ever.
    [Symbol.asyncDispose]: () => Promise.resolve(clearInterval(timer)),
  };
}
