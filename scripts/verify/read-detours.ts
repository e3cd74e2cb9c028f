/** Detours as a command is given them. */
import { KitError } from "../../relay/errors.ts";
import { type Detour, parseDetour } from "./detour.ts";

/**
 * Reads the detours of flags and of the environment's DERPKIT_CONNECT_TO. A flag goes before the environment: the first
 * detour from a place counts.
 *
 * @throws KitError `usage`
 */
export function readDetours(
  flags: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Detour[] {
  const environment = (env["DERPKIT_CONNECT_TO"] ?? "").split(",").filter((entry) => entry.trim() !== "");
  return [...flags, ...environment].map((entry) => {
    const detour = parseDetour(entry);
    if (detour !== undefined) return detour;
    throw new KitError("usage", {
      message: `--connect-to takes PUBLIC:PORT=HOST:PORT, and not ${JSON.stringify(entry)}.`,
    });
  });
}
