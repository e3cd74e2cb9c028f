/** Names and places on which the updater of a machine, its units and whoever lays out its releases agree. Pure. */

/** The relay's unit. */
export const relayUnit = "derpkit-relay.service";

/** The unit that puts the relay's credentials in their place before it starts. */
export const secretsUnit = "derpkit-secrets.service";

/** The updater's program in a release. */
export const updaterFile = "updater.mjs";

/** Whatever release runs, its files are found here. */
export const currentFolder = "/opt/derpkit/current";

/** The folder of a release that holds the runtime's archive, and nothing else. */
export const runtimeArchiveFolder = "runtime-archive";

/** Where the relay makes its key, on the volume that outlives the machine. */
export const relayKeyFile = "/var/lib/derpkit/relay/derper.key";

/** What the updater must not forget, on the same volume. */
export const updaterStateFolder = "/var/lib/derpkit/updater";

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

/**
 * How a relay's secrets reach its machine. `instance`: as parameters that the machine's role may read. `sealed`: boxed to the
 * relay's own key, beside its releases.
 */
export type SecretChannel = "instance" | "sealed";

const sealedWord = "sealed";

/** The updater's arguments in the secrets' unit. A credential is never called as the channel is. */
export function renderSecretsArguments(channel: SecretChannel, names: readonly string[]): string {
  return ["--secrets", ...(channel === "sealed" ? [sealedWord] : []), ...names].join(" ");
}

/** Reads what follows `--secrets`. Who names no channel means the instance's. */
export function parseSecretsArguments(args: readonly string[]): {
  readonly channel: SecretChannel;
  readonly names: readonly string[];
} {
  const [first, ...rest] = args;
  return first === sealedWord ? { channel: "sealed", names: rest } : { channel: "instance", names: args };
}

/** The credentials that are to be had sealed, as the secrets' unit says; none if it says otherwise. */
export function findSealedNames(unit: string): readonly string[] {
  const [, args = ""] = /^ExecStart=\S+ \S+ --secrets (.+)$/m.exec(unit) ?? [];
  const { channel, names } = parseSecretsArguments(args.split(" "));
  return channel === "sealed" ? names : [];
}
