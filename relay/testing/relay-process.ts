/** The relay as a process of its own, run from its sources. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import type { PassedSockets } from "../systemd/activation.ts";

export interface RelayProcess {
  readonly child: ChildProcess;
  /** What it has printed so far, standard output and standard error. */
  output(): string;
  /** Resolves when it has printed the text. */
  printed(text: string): Promise<void>;
  /** Resolves with the exit status. */
  readonly exit: Promise<number | null>;
}

const main = join(import.meta.dirname, "..", "main.ts");

/** Starts it in a folder, which is its state directory; it ends with the test. */
export function startProcess(t: TestContext, folder: string, ...args: readonly string[]): RelayProcess {
  return launch(t, folder, [process.execPath, main, ...args], {}, []);
}

/** Only the process itself knows the number that systemd says: a shell says it, and becomes the relay. */
const asSystemd = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"];

/** Does the same with sockets, which it finds as systemd passes them. @param sockets descriptors of this process */
export function startWithSockets(
  t: TestContext,
  folder: string,
  sockets: PassedSockets,
  ...args: readonly string[]
): RelayProcess {
  const env = {
    LISTEN_FDS: `${Object.keys(sockets).length}`,
    LISTEN_FDNAMES: Object.keys(sockets).join(":"),
  };
  return launch(t, folder, [...asSystemd, process.execPath, main, ...args], env, Object.values(sockets));
}

function launch(
  t: TestContext,
  folder: string,
  [program = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  passed: readonly number[],
): RelayProcess {
  const child = spawn(program, args, {
    cwd: folder,
    env: { STATE_DIRECTORY: folder, ...env },
    stdio: ["pipe", "pipe", "pipe", ...passed],
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exit = once(child, "close").then(([code]) => code as number | null);
  const printed = async (text: string): Promise<void> => {
    while (!output.includes(text)) {
      const more = once(child.stderr ?? child, "data").then(() => true);
      const going = await Promise.race([more, exit.then(() => false)]);
      if (!going && !output.includes(text)) throw new Error(`it ended and had printed:\n${output}`);
    }
  };
  return { child, output: () => output, printed, exit };
}
