/** A project with stack files for the tests of a file, and a script in the place of Pulumi's CLI. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { after, before, type TestContext } from "node:test";

export interface ProjectFolder {
  /** Empties the folder but for a project with these stack files, by the stacks' names. @returns its path */
  lay(stacks: Readonly<Record<string, string>>): string;
  /** Has a shell script stand in for Pulumi's CLI until the test ends. Its folder is the project's. */
  standIn(t: TestContext, script: string): void;
}

/** Why there is no stand-in on this system; false where there is one. */
export const noStandIn = process.platform === "win32" && "the stand-in for Pulumi's CLI is a shell script";

/**
 * Makes a folder that is the current one in all of the file's tests: --stack NAME is looked for there. It is one for all, as
 * esbuild's service keeps the one that it was started in.
 */
export function projectFolder(): ProjectFolder {
  const former = process.cwd();
  let folder = "";
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), "derpkit-"));
    process.chdir(folder);
  });
  after(() => {
    process.chdir(former);
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    lay(stacks) {
      for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
      writeFileSync(path.join(folder, "Pulumi.yaml"), "name: derpkit\n");
      for (const [name, text] of Object.entries(stacks)) {
        writeFileSync(path.join(folder, `Pulumi.${name}.yaml`), text);
      }
      return folder;
    },
    standIn(t, script) {
      const bin = path.join(folder, "bin");
      mkdirSync(bin);
      writeFileSync(path.join(bin, "pulumi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const searched = process.env["PATH"];
      t.after(() => {
        process.env["PATH"] = searched;
      });
      process.env["PATH"] = `${bin}:${searched}`;
    },
  };
}
