/** A stack file in its Git repository. */
import { execFile } from "node:child_process";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { KitError } from "../../relay/errors.ts";

const run = promisify(execFile);

/** The file's text as it was last committed; undefined if it never was. @throws KitError `git-failed` */
export async function committedText(file: string): Promise<string | undefined> {
  const name = basename(file);
  const known = await git(file, ["ls-tree", "--name-only", "HEAD", "--", name]);
  return known.trim() === "" ? undefined : await git(file, ["show", `HEAD:./${name}`]);
}

/** Commits the file and nothing else. @throws KitError `git-failed` */
export async function commitFile(file: string, message: string): Promise<void> {
  const name = basename(file);
  await git(file, ["commit", "--quiet", "--message", message, "--only", "--", name]);
}

async function git(file: string, args: readonly string[]): Promise<string> {
  try {
    return (await run("git", args, { cwd: dirname(file), encoding: "utf8", maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const [said = ""] = (stderr.trim() || message).split("\n");
    throw new KitError("git-failed", {
      where: file,
      message: `\`git ${args[0]}\` failed: ${said.slice(0, 300)}`,
    });
  }
}
