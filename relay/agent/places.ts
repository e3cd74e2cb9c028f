/** Names and places on which the updater of a machine, its units and whoever lays out its releases agree. Pure. */

/** The relay's unit. */
export const relayUnit = "derpkit-relay.service";

/** The updater's program in a release. */
export const updaterFile = "updater.mjs";

/** Whatever release runs, its files are found here. */
export const currentFolder = "/opt/derpkit/current";

/** The folder of a release that holds the runtime's archive, and nothing else. */
export const runtimeArchiveFolder = "runtime-archive";

/** What is gone with the machine's start. */
export const runFolder = "/run/derpkit";

/** Where the updater leaves word of itself for the relay. */
export const updaterStatusFile = `${runFolder}/updater.json`;

/** Where the relay's unit takes its credentials from. */
export const credentialsFolder = `${runFolder}/credentials`;

/** The path of a secret's parameter at AWS: all that a machine has to know is what it was booted with. */
export function parameterName(stack: string, node: string, secret: string): string {
  return `/derpkit/${stack}/${node}/${secret}`;
}
