/** A copy of the project with a state of its own, for Pulumi's engine: no account, no network, nothing outside of it. */
import { type ChildProcess, spawn, type SpawnSyncReturns, spawnSync } from "node:child_process";
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";

const root = path.join(import.meta.dirname, "..");

/** Why nothing can be run under the engine here; undefined if it can. */
export const whyNoEngine =
  spawnSync("pulumi", ["version"]).error === undefined ? undefined : "there is no pulumi in PATH";

export interface StateResource {
  readonly type: string;
  readonly urn: string;
  readonly protect?: boolean;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

export class PulumiProject implements Disposable {
  readonly folder: string;
  /** Where the copy is. */
  readonly project: string;
  readonly environment: NodeJS.ProcessEnv;

  /** A folder for a project, and the place of the copy in it, which is not there yet. */
  static makeFolder(): { readonly folder: string; readonly project: string } {
    const folder = mkdtempSync(path.join(tmpdir(), "derpkit-engine-"));
    return { folder, project: path.join(folder, "project") };
  }

  /** @param more environment of the engine, the program and the providers */
  constructor(more: NodeJS.ProcessEnv = {}, { folder, project } = PulumiProject.makeFolder()) {
    this.folder = folder;
    this.project = project;
    mkdirSync(path.join(this.folder, "state"));
    const stacks = readdirSync(root).filter((name) => /^Pulumi\.(.*\.)?yaml$/.test(name));
    for (const part of ["package.json", ...stacks, "infra", "relay", "scripts"]) {
      cpSync(path.join(root, part), path.join(this.project, part), { recursive: true });
    }
    symlinkSync(path.join(root, "node_modules"), path.join(this.project, "node_modules"));
    this.environment = {
      ...process.env,
      // The language host runs the `node` that is first there.
      PATH: [path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter),
      PULUMI_BACKEND_URL: `file://${path.join(this.folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_HOME: path.join(this.folder, "home"),
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      ...more,
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** @param input for its standard input */
  run(
    program: string,
    args: readonly string[],
    more: NodeJS.ProcessEnv = {},
    input = "",
  ): SpawnSyncReturns<string> {
    return spawnSync(program, args, {
      cwd: this.project,
      env: { ...this.environment, ...more },
      encoding: "utf8",
      input,
    });
  }

  /** Runs the CLI, which may fail. @returns its status and all that it wrote */
  try(...args: readonly string[]): { readonly status: number | null; readonly text: string } {
    const { status, stdout, stderr } = this.run("pulumi", [...args, "--non-interactive"]);
    return { status, text: stdout + stderr };
  }

  /** Starts the CLI and leaves it running. What it writes is not read. */
  spawn(...args: readonly string[]): ChildProcess {
    return spawn("pulumi", [...args, "--non-interactive"], {
      cwd: this.project,
      env: this.environment,
      stdio: "ignore",
    });
  }

  /** Runs the CLI, which has to succeed. @returns its standard output */
  pulumi(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.run("pulumi", [...args, "--non-interactive"]);
    assert.equal(status, 0, `pulumi ${args.join(" ")}\n${stdout}${stderr}`);
    return stdout;
  }

  /** The resources in a stack's state, by name: the engine has them in the order in which they came. */
  resources(stack: string): StateResource[] {
    return this.#deployment(stack).resources.sort((a, b) => (a.urn < b.urn ? -1 : 1));
  }

  /** What an `up` that was cut off has left undecided. */
  pendingOperations(stack: string): unknown[] {
    return this.#deployment(stack).pending_operations;
  }

  /** As the engine prints JSON: two spaces, a newline at the end. */
  output(stack: string, name: string): string {
    return this.pulumi("stack", "output", name, "--json", "--stack", stack);
  }

  #deployment(stack: string): { resources: StateResource[]; pending_operations: unknown[] } {
    const { deployment }: { deployment: { resources?: StateResource[]; pending_operations?: unknown[] } } =
      JSON.parse(this.pulumi("stack", "export", "--stack", stack));
    const { resources = [], pending_operations = [] } = deployment;
    return { resources, pending_operations };
  }
}
