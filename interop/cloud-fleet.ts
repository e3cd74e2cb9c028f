/** An example stack under Pulumi's engine, with clouds on loopback, and what tests do with both. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { PulumiProject } from "./pulumi-project.ts";
import { type Clouds, type CloudState, type Fault, startClouds } from "./simcloud.ts";

export class CloudFleet implements AsyncDisposable {
  readonly clouds: Clouds;
  readonly project: PulumiProject;
  readonly #stack: string;

  private constructor(stack: string, clouds: Clouds, project: PulumiProject) {
    this.#stack = stack;
    this.clouds = clouds;
    this.project = project;
  }

  /**
   * @param stack name of an example
   * @param environment of the engine, of the program and of the commands that it has run
   * @param cloudArgs options of the clouds
   */
  static async start(
    stack: string,
    environment: NodeJS.ProcessEnv = {},
    ...cloudArgs: readonly string[]
  ): Promise<CloudFleet> {
    const folder = PulumiProject.makeFolder();
    const clouds = await startClouds(["--program-dir", folder.project, ...cloudArgs], environment);
    const project = new PulumiProject({ ...clouds.environment, ...environment }, folder);
    project.pulumi("stack", "init", stack);
    const fleet = new CloudFleet(stack, clouds, project);
    // Machines do not boot here.
    fleet.edit((text) => text.replace("config:\n", "config:\n  derpkit:gate: skip\n"));
    return fleet;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.project[Symbol.dispose]();
    await this.clouds[Symbol.asyncDispose]();
  }

  /** Sets a key of the configuration to a secret, without namespace. */
  setSecret(name: string, value: string): void {
    const args = [
      "config",
      "set",
      "--secret",
      `derpkit:${name}`,
      "--stack",
      this.#stack,
      "--non-interactive",
    ];
    const { status, stderr } = this.project.run("pulumi", args, {}, value);
    assert.equal(status, 0, stderr);
  }

  /** Changes the stack file. */
  edit(change: (text: string) => string): void {
    const file = path.join(this.project.project, `Pulumi.${this.#stack}.yaml`);
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }

  /** Runs a command of the CLI on the stack, which may fail. */
  try(...args: readonly string[]): ReturnType<PulumiProject["try"]> {
    return this.project.try(...args, "--stack", this.#stack);
  }

  /** Starts a command of the CLI on the stack. */
  spawn(...args: readonly string[]): ReturnType<PulumiProject["spawn"]> {
    return this.project.spawn(...args, "--stack", this.#stack);
  }

  up(): ReturnType<PulumiProject["try"]> {
    return this.try("up", "--yes", "--skip-preview");
  }

  destroy(): ReturnType<PulumiProject["try"]> {
    return this.try("destroy", "--yes", "--skip-preview");
  }

  /** An output of the stack, as JSON. */
  output(name: string): string {
    return this.project.output(this.#stack, name);
  }

  /** What an `up` that was cut off has left undecided. */
  pendingOperations(): unknown[] {
    return this.project.pendingOperations(this.#stack);
  }

  /** Preview, refresh and up, none of which may find anything to do. */
  staysAsItIs(): void {
    const always = ["--stack", this.#stack, "--expect-no-changes"];
    this.project.pulumi("preview", "--diff", ...always);
    this.project.pulumi("refresh", "--yes", "--skip-preview", ...always);
    this.project.pulumi("up", "--yes", "--skip-preview", ...always);
  }

  /** How many objects there are of each kind, of those of which there is any. */
  async count(): Promise<Record<string, number>> {
    return countObjects(await this.clouds.state());
  }
}

/**
 * Has one call of a first `up` fail, and checks that the next one goes on from there.
 *
 * @param whole how many objects there are in the end, of each kind
 */
export async function goesOnAfter(
  fault: Pick<Fault, "method" | "path">,
  fleet: CloudFleet,
  whole: Readonly<Record<string, number>>,
): Promise<void> {
  const what = `${fault.method} ${fault.path}`;
  await fleet.clouds.fail({ ...fault, times: 1, status: 500, message: "injected for the test" });
  const first = fleet.up();
  assert.notEqual(first.status, 0, `${what}: no failure\n${first.text}`);
  assert.match(first.text, /injected for the test/);
  assert.match(first.text, /derp-9\d\d-/, "the resource is named");
  const second = fleet.up();
  assert.equal(second.status, 0, `${what}\n${second.text}`);
  assert.deepEqual(await fleet.count(), whole, what);
  assert.deepEqual(fleet.pendingOperations(), []);
}

/** The files of a fleet's state, unpacked. */
export function stateFiles({ project }: CloudFleet): Buffer[] {
  return readdirSync(path.join(project.folder, "state"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name)))
    .map((bytes) => (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes));
}

/** Checks that a secret is in none of these bytes, in clear or in base64, wherever in a longer text that begins. */
export function assertNowhere(secret: string, places: readonly Buffer[]): void {
  const coded = [0, 1, 2].map((before) =>
    // The first and the last characters depend on what is around.
    Buffer.from("x".repeat(before) + secret)
      .toString("base64")
      .slice(before === 0 ? 0 : 4, -4),
  );
  for (const bytes of places) {
    assert.ok([secret, ...coded].every((form) => !bytes.includes(form)));
  }
}

/** Of what is there, so many of each kind. AWS keeps things by region; zones of DNS were there before. */
function countObjects({ aws, hetzner, cloudflare }: CloudState): Record<string, number> {
  const places = [hetzner, cloudflare, ...Object.values(aws.regions)];
  const counts = new Map<string, number>();
  for (const [kind, objects] of places.flatMap((place) => Object.entries(place))) {
    const count = Array.isArray(objects) && kind !== "zones" ? objects.length : 0;
    if (count > 0) counts.set(kind, (counts.get(kind) ?? 0) + count);
  }
  return Object.fromEntries(counts);
}
