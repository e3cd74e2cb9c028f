/** The modes that a configuration asks for. */
import { readFileSync } from "node:fs";
import process from "node:process";
import type { RelayConfig } from "../config/schema.ts";
import { AllowList } from "./allow-list.ts";
import { defaultTailscaledSocket, LocalTailscaled } from "./local-tailscaled.ts";
import type { AdmissionMode } from "./mode.ts";
import { readSecretFile } from "./secret.ts";
import { TailnetApi } from "./tailnet-api.ts";
import { TailscaleClient } from "./tailscale-client.ts";
import { VerifyUrl } from "./verify-url.ts";

export interface ModeContext {
  /** Makes a path of the configuration absolute. */
  readonly resolve: (path: string) => string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How long nobody may know whether a client may stay; milliseconds. */
  readonly staleMs: number;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

/** Makes the modes in the order in which they are asked: cheap ones first. None of them asks anybody yet. */
export function createModes(
  config: RelayConfig,
  { resolve, env, staleMs, now, log }: ModeContext,
): AdmissionMode[] {
  const modes: AdmissionMode[] = [];
  const ca = readTrustedRoots(env);
  const http = { env, ...(ca === undefined ? {} : { ca }) };
  if (config.admissionList !== "") {
    modes.push(new AllowList({ file: resolve(config.admissionList), staleMs, now, log }));
  }
  if (config.verifyClients) {
    modes.push(new LocalTailscaled(config.socket || defaultTailscaledSocket(process.platform)));
  }
  if (config.admissionApiClientId !== "") {
    const client = new TailscaleClient({
      ...http,
      baseUrl: new URL(config.admissionApiUrl),
      clientId: config.admissionApiClientId,
      readSecret: () => readApiSecret(config, resolve, env),
      now,
    });
    const fetchKeys = (signal: AbortSignal): Promise<ReadonlySet<string>> => client.fetchKeys(signal);
    modes.push(new TailnetApi({ fetchKeys, staleMs, now, random: Math.random, log }));
  }
  if (config.verifyClientUrl !== "") {
    const failOpen = config.verifyClientUrlFailOpen;
    modes.push(new VerifyUrl({ ...http, url: new URL(config.verifyClientUrl), failOpen }));
  }
  return modes;
}

async function readApiSecret(
  { admissionApiSecretFile }: RelayConfig,
  resolve: ModeContext["resolve"],
  env: ModeContext["env"],
): Promise<string> {
  const given = env["DERPKIT_ADMISSION_API_SECRET"];
  if (given !== undefined && given !== "") return given;
  return readSecretFile(resolve(admissionApiSecretFile));
}

/** Go's programs read it, and so do we: private authorities depend on it. Undefined: Node's own list. */
function readTrustedRoots(env: ModeContext["env"]): readonly string[] | undefined {
  const file = env["SSL_CERT_FILE"];
  return file === undefined || file === "" ? undefined : [readFileSync(file, "utf8")];
}
