/** What the machine was booted with, as stage 0 left it in the environment and on the disk. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { KitError } from "../errors.ts";

const settingsSchema = v.object({
  DERPKIT_STACK: v.pipe(v.string(), v.nonEmpty()),
  DERPKIT_REGION: v.pipe(v.string(), v.nonEmpty()),
  DERPKIT_NODE: v.pipe(v.string(), v.nonEmpty()),
  DERPKIT_DELIVERY: v.pipe(v.string(), v.url(), v.regex(/^https?:/)),
});

export interface AgentSettings {
  readonly stack: string;
  readonly region: string;
  readonly node: string;
  readonly delivery: URL;
  /** Public keys in PEM, in the order of their files' names. */
  readonly trustedKeys: readonly string[];
}

/**
 * Reads the settings.
 *
 * @param keyFolder where stage 0 wrote trusted-1.pem, and trusted-2.pem if there are two
 * @throws KitError `config-invalid`, `file-unreadable`
 */
export async function readSettings(
  env: Readonly<Record<string, string | undefined>>,
  keyFolder: string,
): Promise<AgentSettings> {
  const result = v.safeParse(settingsSchema, env);
  if (!result.success) {
    throw new KitError("config-invalid", {
      message: "The machine's settings are not whole.",
      where: path.join(keyFolder, "stage0.env"),
      problems: result.issues.map((issue) => ({
        path: v.getDotPath(issue) ?? "environment",
        message: issue.message,
      })),
      fix: "Build the machine anew: change its region's generation.",
    });
  }
  const { DERPKIT_STACK, DERPKIT_REGION, DERPKIT_NODE, DERPKIT_DELIVERY } = result.output;
  return {
    stack: DERPKIT_STACK,
    region: DERPKIT_REGION,
    node: DERPKIT_NODE,
    delivery: new URL(DERPKIT_DELIVERY),
    trustedKeys: await readKeys(keyFolder),
  };
}

async function readKeys(folder: string): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((name) => /^trusted-\d\.pem$/.test(name)).toSorted();
    return await Promise.all(names.map((name) => readFile(path.join(folder, name), "utf8")));
  } catch (cause) {
    throw new KitError("file-unreadable", { where: folder, cause });
  }
}
