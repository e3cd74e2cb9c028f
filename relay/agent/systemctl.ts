/** Asks systemd by its own tool. */
import { execFile } from "node:child_process";

export interface Answer {
  readonly ok: boolean;
  /** What it wrote, both streams. */
  readonly text: string;
}

/** Runs `systemctl` with arguments. It never fails otherwise than by what it answers. */
export type Systemctl = (...args: readonly string[]) => Promise<Answer>;

/** A start that takes longer is hung: the units have limits of their own below this one. */
const limitMs = 240_000;

/** @param program its path */
export function createSystemctl(program = "systemctl"): Systemctl {
  return (...args) => runTool(program, args);
}

/** Runs a program to its end. */
export function runTool(program: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: limitMs, maxBuffer: 1_048_576 }, (error, stdout, stderr) => {
      resolve({ ok: error === null, text: `${stdout}${stderr}` });
    });
  });
}
