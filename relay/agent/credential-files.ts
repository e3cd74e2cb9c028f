/** The relay's credentials in the folder that its unit takes them from: in memory, for nobody but root. */
import { rm } from "node:fs/promises";
import path from "node:path";
import { makeFolder, readIfThere, writeWhole } from "../config/files.ts";

/**
 * Leaves there what of the secrets is named, and nothing else by these names.
 *
 * @param secrets values by name
 */
export async function writeCredentials(
  folder: string,
  names: readonly string[],
  secrets: ReadonlyMap<string, string>,
): Promise<void> {
  await makeFolder(folder, 0o700);
  for (const name of names) {
    const value = secrets.get(name);
    const file = path.join(folder, name);
    if (value === undefined) await rm(file, { force: true });
    else await writeWhole(file, render(value), 0o600);
  }
}

/** Whether that is what `writeCredentials` would leave. */
export async function areCredentials(
  folder: string,
  names: readonly string[],
  secrets: ReadonlyMap<string, string>,
): Promise<boolean> {
  for (const name of names) {
    const value = secrets.get(name);
    const present = await readIfThere(path.join(folder, name));
    if (present !== (value === undefined ? undefined : render(value))) return false;
  }
  return true;
}

function render(value: string): string {
  return `${value}\n`;
}
