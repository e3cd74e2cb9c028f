/** The foreign programs that ours is compared with and run by. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";

export type ForeignProgram = "derper" | "bun";

/** Why a program is not there, for a person. */
export const whyNotFound: Readonly<Record<ForeignProgram, string>> = {
  derper: "there is no derper: DERPKIT_TAILNET_CHECK does not name its folder",
  bun: "there is no bun: neither DERPKIT_BUN nor PATH names it",
};

/** The folder of derper, of Tailscale's clients and of what drives them. */
export const tailscalePrograms =
  process.env["DERPKIT_TAILNET_CHECK"] ?? path.join(homedir(), ".cache/derpkit/tailnet");

/** @returns the program's path, or undefined if it is not on this machine */
export function findProgram(program: ForeignProgram): string | undefined {
  const candidates =
    program === "derper"
      ? [path.join(tailscalePrograms, program)]
      : [process.env["DERPKIT_BUN"], ...folders().map((folder) => path.join(folder, program))];
  return candidates.find((file) => file !== undefined && existsSync(file));
}

/** A version's number, without what a build adds to it. */
export async function askVersion(program: string, flag: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [flag]);
  return stdout.trim().split("-", 1)[0] ?? "";
}

function folders(): string[] {
  return (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
}
