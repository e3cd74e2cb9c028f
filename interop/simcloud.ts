/**
 * Clouds on loopback, and stand-ins for their Pulumi providers: a program of its own that DERPKIT_SIMCLOUD names the
 * folder of, its npm dependencies installed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { whyNoEngine } from "./pulumi-project.ts";

const folder = process.env["DERPKIT_SIMCLOUD"] ?? "";

/** Why no cloud can be played here; undefined if it can. */
export const whyNoClouds =
  whyNoEngine ??
  (existsSync(path.join(folder, "node_modules"))
    ? undefined
    : "there are no clouds: DERPKIT_SIMCLOUD does not name their folder");

/** An object of a cloud, as its API has it. */
export type CloudObject = Readonly<Record<string, unknown>>;
/** What clouds have, by kind; AWS' by region and kind. */
export interface CloudState {
  readonly aws: {
    readonly iam: CloudObjects;
    readonly s3: readonly Bucket[];
    readonly regions: Readonly<Record<string, CloudObjects>>;
  };
  readonly hetzner: CloudObjects;
  readonly cloudflare: CloudObjects;
}
export type CloudObjects = Readonly<Record<string, readonly CloudObject[]>>;

export interface Bucket {
  readonly name: string;
  /** What blocks public access. */
  readonly block: Readonly<Record<string, boolean>>;
  readonly policy: { readonly policy: string };
  readonly objects: readonly {
    readonly key: string;
    readonly sha256: string;
    readonly size: number;
    /** Of those that are small. */
    readonly text?: string;
  }[];
}

export interface CloudCall {
  /** Set for a call of an API; the others are of providers. */
  readonly api?: string;
  readonly path?: string;
  readonly status?: number;
}

export interface Fault {
  readonly method: string;
  /** A regular expression. */
  readonly path: string;
  readonly times?: number;
  readonly status?: number;
  readonly code?: string;
  readonly message?: string;
}

export interface Clouds extends AsyncDisposable {
  /** For the engine and the program. */
  readonly environment: NodeJS.ProcessEnv;
  state(): Promise<CloudState>;
  calls(): Promise<readonly CloudCall[]>;
  forgetCalls(): Promise<void>;
  fail(fault: Fault): Promise<void>;
  /** Changes or removes an object behind the engine's back. */
  drift(what: Drift): Promise<void>;
}

export interface Drift {
  readonly cloud: "aws" | "hetzner" | "cloudflare";
  /** As the state names it. */
  readonly kind: string;
  readonly id: unknown;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly remove?: true;
}

/**
 * Starts the clouds.
 *
 * @param environment of the commands that a program runs on this machine
 * @throws Error if they do not start
 */
export async function startClouds(
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<Clouds> {
  const credentials = {
    HCLOUD_TOKEN: "test-token",
    CLOUDFLARE_API_TOKEN: "test-token",
    AWS_REGION: "eu-west-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
  };
  const types = path.join(import.meta.dirname, "..");
  const child = spawn(process.execPath, [path.join(folder, "simcloud.mjs"), "--types-from", types, ...args], {
    env: { ...process.env, ...credentials, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    once(child, "exit").then(() => {
      throw new Error("the clouds did not start");
    }),
  ]);
  const { control, env }: { control: string; env: NodeJS.ProcessEnv } = JSON.parse(String(line[0]));
  const ask = async (method: string, where: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(control + where, {
      method,
      // The engine's runs block this process for longer than a connection is kept.
      headers: { connection: "close" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await answer.json();
  };
  return {
    environment: { ...env, ...credentials },
    state: async () => (await ask("GET", "/state")) as CloudState,
    calls: async () => (await ask("GET", "/events")) as CloudCall[],
    forgetCalls: async () => void (await ask("DELETE", "/events")),
    fail: async (fault) => void (await ask("POST", "/faults", fault)),
    drift: async (what) => assert.deepEqual(await ask("POST", "/drift", what), { ok: true }),
    async [Symbol.asyncDispose]() {
      process.off("exit", kill);
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
