/**
 * Real Tailscale clients that are connected while a test does something to their relays: `tailnet-check` brings them up
 * for its check `relay-restart`, and waits while the command that is to end the relay runs.
 */
import assert from "node:assert/strict";
import { glob, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import type { RelayProcess } from "./relay-process.ts";
import { startCommand } from "./shell-command.ts";
import { passTailnetChecks } from "./tailnet-check.ts";
import { TailscaleClient } from "./tailscale-client.ts";
import type { TestMap } from "./test-map.ts";

/** Two clients of one tailnet whose packets can go by a relay only. */
export type ClientPair = readonly [TailscaleClient, TailscaleClient];

export interface TailnetOptions {
  /** With one region. */
  readonly map: TestMap;
  /** The relay that the clients are at when `meanwhile` has ended. The check kills it and starts it again. */
  readonly last: RelayProcess;
}

/** Runs `meanwhile` beside two clients that have exchanged something; afterwards they find the last relay again. */
export async function withTailnet(
  t: TestContext,
  { map, last }: TailnetOptions,
  meanwhile: (clients: ClientPair) => Promise<void>,
): Promise<void> {
  const [region = "", ...more] = Object.keys(map.Regions);
  assert.deepEqual(more, []);
  const folder = temporaryFolder(t);
  const temporary = path.join(folder, "t");
  await mkdir(temporary);
  const derpMap = path.join(folder, "map.json");
  await writeFile(derpMap, JSON.stringify(map));
  let failure: unknown;
  const kill = await startCommand(t, async () => {
    try {
      await meanwhile(await findClients(temporary));
    } catch (error) {
      failure = error;
      throw error;
    }
    await last.kill();
    return "";
  });
  const restart = await startCommand(t, async () => {
    await last.restart();
    return String(last.pid);
  });
  const commands = [
    "-kill-cmd-of-region",
    `${region}=${kill}`,
    "-restart-cmd-of-region",
    `${region}=${restart}`,
  ];
  const args = [...commands, "-check-timeout", "5m"];
  try {
    await passTailnetChecks(t, derpMap, ["relay-restart"], args, { TMPDIR: temporary });
  } catch (error) {
    throw failure ?? error;
  }
}

/** By the sockets that they have made. */
async function findClients(folder: string): Promise<ClientPair> {
  const sockets: string[] = [];
  for await (const file of glob("tnc*/*/s", { cwd: folder })) sockets.push(file);
  const [one, other, ...more] = sockets.sort().map((file) => new TailscaleClient(path.join(folder, file)));
  assert.ok(one !== undefined && other !== undefined && more.length === 0, `clients: ${sockets.join()}`);
  return [one, other];
}
