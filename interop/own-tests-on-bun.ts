/** Tests beside the code, run by Bun: what they say of Node they have to say of it too. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { findProgram, whyNotFound } from "../scripts/conformance/programs.ts";

const bun = findProgram("bun");
const skip = bun === undefined ? whyNotFound.bun : false;
const root = path.join(import.meta.dirname, "..");

/** Declares a test for each file. @param files below `relay/`, without `.test.ts` */
export function testOnBun(files: readonly string[]): void {
  for (const file of files)
    test(`relay/${file}.test.ts passes on Bun`, { skip, timeout: 60_000 }, async (t) => {
      // With a slash in front Bun takes the name for a path, not for a part of one.
      const child = spawn(bun ?? "", ["test", `./relay/${file}.test.ts`], {
        cwd: root,
        env: { PATH: process.env["PATH"], HOME: process.env["HOME"] },
        stdio: ["ignore", "ignore", "pipe"],
        signal: t.signal,
      });
      const [said, [status]] = await Promise.all([text(child.stderr), once(child, "exit")]);
      assert.equal(status, 0, said);
      assert.match(said, /\n *[1-9]\d* pass\n *0 fail\n/);
    });
}
