/** Those whom a relay asks who may connect, played by the test: they let in whom they are told to, and fail as told. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import {
  type Answer,
  hangUp,
  reply,
  startServer,
  stopServer,
  type TestServer,
} from "../relay/outbound/testing/servers.ts";
import { type NodeKey, renderNodeKey } from "../relay/crypto/keys.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { eventually } from "./eventually.ts";
import { tailnetProgram } from "./tailnet-check.ts";

export interface Oracle {
  /** With these a relay asks it. */
  readonly flags: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Lets in exactly these from now on, and so ends an outage. */
  allow(keys: readonly NodeKey[]): Promise<void>;
}

export interface ApiOracle extends Oracle {
  /** Answers everything like this. */
  answer(answer: Answer): void;
  /** Ends; nobody listens on its port any more. */
  leave(): Promise<void>;
}

/** The part of the Tailscale API that lists a tailnet's devices. */
export async function startApi(t: TestContext): Promise<ApiOracle> {
  const server = await startServer(t, hangUp);
  const { href, hostname, port } = server.url;
  return {
    flags: { "admission-api-url": href, "admission-api-client-id": "client" },
    env: { DERPKIT_ADMISSION_API_SECRET: "no-secret" },
    async allow(keys) {
      const devices = keys.map((key) => ({ nodeKey: renderNodeKey(key), authorized: true }));
      const list = reply(200, JSON.stringify({ devices }));
      const token = reply(200, JSON.stringify({ access_token: "token", expires_in: 3_600 }));
      server.answer = (response, request) =>
        (request.url.includes("/oauth/token") ? token : list)(response, request);
      await open(server, { host: hostname, port: Number(port) });
    },
    answer(answer) {
      server.answer = answer;
    },
    leave: () => close(server),
  };
}

export interface ListOracle extends Oracle {
  readonly file: string;
}

/** An allow-list file, which is exchanged as a whole unless a test does otherwise. */
export async function startList(t: TestContext): Promise<ListOracle> {
  const file = path.join(temporaryFolder(t), "allowed-keys");
  return {
    file,
    flags: { "admission-list": file },
    async allow(keys) {
      await writeFile(`${file}.new`, renderList(keys));
      await rename(`${file}.new`, file);
    },
  };
}

/** The text of an allow-list. */
export function renderList(keys: readonly NodeKey[]): string {
  return keys.map((key) => `${renderNodeKey(key)}\n`).join("");
}

export interface TailscaledOracle extends Oracle {
  /** Ends, and its socket with it. */
  leave(): Promise<void>;
  /** Begins anew: it has not found its tailnet yet and knows nobody. */
  restart(): Promise<void>;
  /** Gives its socket to a real tailscaled, which is not logged in. */
  giveWay(): Promise<void>;
}

/** The part of tailscaled's LocalAPI that tells whose a key is, on a socket as tailscaled has it. */
export async function startTailscaled(t: TestContext): Promise<TailscaledOracle> {
  const folder = temporaryFolder(t);
  const socket = path.join(folder, "tailscaled.sock");
  const server = await startServer(t, hangUp, socket);
  let real: ChildProcess | undefined;
  const endReal = async (): Promise<void> => {
    if (real === undefined || real.exitCode !== null || real.signalCode !== null) return;
    const ended = once(real, "exit");
    real.kill("SIGTERM");
    await ended;
  };
  t.after(endReal);
  const serve = async (state: string, keys: readonly NodeKey[]): Promise<void> => {
    server.answer = answerLocalApi(state, keys);
    await open(server, { path: socket });
  };
  return {
    flags: { "verify-clients": "true", socket },
    async allow(keys) {
      await endReal();
      await serve("Running", keys);
    },
    leave: () => close(server),
    async restart() {
      await close(server);
      await serve("Starting", []);
    },
    async giveWay() {
      await close(server);
      const args = ["--tun=userspace-networking", "--no-logs-no-support", "--state=mem:", "--port=0"];
      real = spawn(tailnetProgram("tailscaled"), [...args, `--statedir=${folder}`, `--socket=${socket}`], {
        // Nothing leaves this machine.
        env: { ...process.env, TS_NO_LOGS_NO_SUPPORT: "true", TS_PANIC_IF_HIT_MAIN_CONTROL: "1" },
        stdio: "ignore",
      });
      await eventually("tailscaled has a socket", () => existsSync(socket));
    },
  };
}

function answerLocalApi(state: string, keys: readonly NodeKey[]): Answer {
  const known = new Set(
    keys.map((key) => `/localapi/v0/whois?addr=${encodeURIComponent(renderNodeKey(key))}`),
  );
  return (response, request) => {
    const isStatus = request.url.startsWith("/localapi/v0/status");
    const answer = isStatus
      ? reply(200, JSON.stringify({ BackendState: state }))
      : reply(known.has(request.url) ? 200 : 404, "{}");
    answer(response, request);
  };
}

type Place = { readonly path: string } | { readonly host: string; readonly port: number };

async function open({ server }: TestServer, place: Place): Promise<void> {
  if (server.listening) return;
  server.listen(place);
  await once(server, "listening");
}

async function close({ server }: TestServer): Promise<void> {
  const closed = once(server, "close");
  stopServer(server);
  await closed;
}
