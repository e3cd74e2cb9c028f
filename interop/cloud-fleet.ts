/** An example stack under Pulumi's engine, with clouds on loopback, and what tests do with both. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type process from "node:process";
import { PulumiProject } from "./pulumi-project.ts";
import { type Clouds, type CloudState, startClouds } from "./simcloud.ts";

export class CloudFleet implements AsyncDisposable {
  readonly clouds: Clouds;
  readonly project: PulumiProject;
  readonly #stack: string;

  private constructor(stack: string, clouds: Clouds, project: PulumiProject) {
    this.#stack = stack;
    this.clouds = clouds;
    this.project = project;
  }

  /** @param stack name of an example */
  static async start(stack: string, environment: typeof process.env = {}): Promise<CloudFleet> {
    const clouds = await startClouds();
    const project = new PulumiProject({ ...clouds.environment, ...environment });
    project.pulumi("stack", "init", stack);
    return new CloudFleet(stack, clouds, project);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.project[Symbol.dispose]();
    await this.clouds[Symbol.asyncDispose]();
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
