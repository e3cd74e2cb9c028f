/** What this build of the relay calls itself: in /healthz, in its log and in metrics. */

/** Put in the place of its name by the bundler (infra/delivery/relay-bundle.ts); not defined when the sources run as they are. */
declare const DERPKIT_VERSION: string | undefined;

/**
 * The package's version. A literal, because reading package.json would make every edit of that file an input of the
 * bundle; the test beside this file keeps the two equal.
 */
export const packageVersion = "0.1.0";

/** True if this code runs from the bundle. */
export const bundled: boolean = typeof DERPKIT_VERSION === "string";

/** `<package version>+<first 12 hex digits of the digest of the bundle's inputs>`, or `<package version>+dev` unbundled. */
export const version: string =
  typeof DERPKIT_VERSION === "string" ? DERPKIT_VERSION : `${packageVersion}+dev`;
