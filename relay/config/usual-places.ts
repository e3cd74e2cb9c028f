/** Where derper's files lie if nobody says: on whose account the relay runs, and what the environment has to say. Pure. */
import { isAbsolute, join } from "node:path";

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** Of the user; undefined where users have no number. */
  readonly uid: number | undefined;
}

/** The folder that systemd keeps for a unit with `StateDirectory=`: the first, if there are several. */
export function usualStateDirectory({ env }: Pick<Surroundings, "env">): string | undefined {
  return env["STATE_DIRECTORY"]?.split(":", 1)[0] || undefined;
}

/** The key file. derper has one for root alone; a unit's state directory is ours (repair Q17). */
export function usualKeyFile({ env, uid }: Surroundings): string | undefined {
  if (uid === 0) return "/var/lib/derper/derper.key";
  const folder = usualStateDirectory({ env });
  return folder === undefined ? undefined : join(folder, "derper.key");
}

/** The certificate folder: in the user's cache folder, which Go's os.UserCacheDir finds in the same way. */
export function usualCertDir({ env, platform }: Surroundings): string | undefined {
  const cache = userCacheDir(env, platform);
  return cache === undefined ? undefined : join(cache, "tailscale", "derper-certs");
}

/** The mesh key's files: the first that there is counts. */
export function usualMeshKeyFiles({ env }: Pick<Surroundings, "env">): readonly string[] {
  const home = env["HOME"] || undefined;
  const own = home === undefined ? [] : [join(home, "keys", "derp-mesh.key")];
  return ["/home/derp/keys/derp-mesh.key", ...own];
}

/** Where secrets of a setec server are kept: a file, though derper's flag calls it a folder. */
export function usualSecretsCache({ env }: Pick<Surroundings, "env">): string {
  return join(env["HOME"] ?? "", ".cache", "derper-secrets");
}

function userCacheDir(env: Surroundings["env"], platform: NodeJS.Platform): string | undefined {
  const home = env["HOME"] || undefined;
  if (platform === "win32") return env["LocalAppData"] || undefined;
  if (platform === "darwin") return home && join(home, "Library", "Caches");
  const cache = env["XDG_CACHE_HOME"] || undefined;
  if (cache !== undefined) return isAbsolute(cache) ? cache : undefined;
  return home && join(home, ".cache");
}
