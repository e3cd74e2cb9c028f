/** A tailnet's control server on loopback, whose derpMap a test exchanges while clients are connected. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import type { DerpMap } from "../infra/derpmap/derp-map.ts";

const program = process.env["DERPKIT_CONTROL_SERVER"] ?? "";

/** Why there is none on this machine; undefined if there is one. */
export const whyNoControlServer = existsSync(program)
  ? undefined
  : "there is no control-server: DERPKIT_CONTROL_SERVER does not name it (interop/control-server/build.sh makes it)";

export interface ControlServer {
  /** For `tailscale up --login-server`. */
  readonly url: string;
  /**
   * Hands a derpMap to every client that is connected, and to those that come later.
   *
   * @returns how many are connected
   * @throws Error if it is no derpMap for Tailscale's own types
   */
  publish(derpMap: DerpMap): Promise<number>;
}

/** Starts one, which ends with the test. */
export async function startControlServer(t: TestContext): Promise<ControlServer> {
  const child = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(async () => {
    // It lives as long as its standard input.
    child.stdin.end();
    await ended;
  });
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then(() => {
      throw new Error("the control server did not start");
    }),
  ]);
  const { control, admin }: { control: string; admin: string } = JSON.parse(String(line));
  return {
    url: control,
    publish: async (derpMap) => {
      const answer = await fetch(`${admin}/derpmap`, { method: "PUT", body: JSON.stringify(derpMap) });
      if (!answer.ok) throw new Error(`no derpMap: ${await answer.text()}`);
      return ((await answer.json()) as { polls: number }).polls;
    },
  };
}
