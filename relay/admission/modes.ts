/** The modes that a configuration asks for. */
import process from "node:process";
import type { SecureContext } from "node:tls";
import type { RelayConfig } from "../config/schema.ts";
import { KitError, type Problem } from "../errors.ts";
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
  /** Whose certificates are trusted. Called only if somebody is asked over the network. */
  readonly trust: () => SecureContext;
  /** Time from one check of a session to the next; milliseconds. */
  readonly recheckMs: number;
  /** How long nobody may know whether a client may stay; milliseconds. */
  readonly staleMs: number;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

const secretVariable = "DERPKIT_ADMISSION_API_SECRET";
/** A device list may be a minute old before it is fetched again, and an answer half a minute. */
const leastStaleMs = 120_000;

/**
 * Makes the modes in the order in which they are asked: cheap ones first. None of them asks anybody yet.
 *
 * @throws KitError `config-invalid` or `file-unreadable`
 */
export function createModes(config: RelayConfig, context: ModeContext): AdmissionMode[] {
  const problems = findProblems(config, context);
  if (problems.length > 0) {
    throw new KitError("config-invalid", { message: "The relay's configuration has mistakes.", problems });
  }
  const { resolve, env, trust, staleMs, now, log } = context;
  const modes: AdmissionMode[] = [];
  if (config.admissionList !== "") {
    modes.push(new AllowList({ file: resolve(config.admissionList), staleMs, now, log }));
  }
  if (config.verifyClients) {
    modes.push(new LocalTailscaled(config.socket || defaultTailscaledSocket(process.platform)));
  }
  if (config.admissionApiClientId !== "") {
    const client = new TailscaleClient({
      env,
      trust: trust(),
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
    modes.push(new VerifyUrl({ env, trust: trust(), url: new URL(config.verifyClientUrl), failOpen }));
  }
  return modes;
}

/** What no schema sees: options that do not go together. */
function findProblems(config: RelayConfig, { env, recheckMs, staleMs }: ModeContext): Problem[] {
  const { admissionApiClientId, admissionApiSecretFile } = config;
  const problems: Problem[] = [];
  if (admissionApiClientId !== "" && admissionApiSecretFile === "" && !env[secretVariable]) {
    problems.push({
      path: "admissionApiClientId (-admission-api-client-id)",
      message: `needs its secret: give admissionApiSecretFile (-admission-api-secret-file), or ${secretVariable} in the environment`,
    });
  }
  if (admissionApiClientId === "" && admissionApiSecretFile !== "") {
    problems.push({
      path: "admissionApiSecretFile (-admission-api-secret-file)",
      message: "admits nobody by itself: give admissionApiClientId (-admission-api-client-id)",
    });
  }
  // Otherwise the first check in an outage that has only just begun would end the session.
  if (staleMs < Math.max(leastStaleMs, 2 * recheckMs)) {
    problems.push({
      path: "admissionStale (-admission-stale)",
      message: "has to be at least 2m, and twice admissionRecheck (-admission-recheck)",
    });
  }
  return problems;
}

async function readApiSecret(
  { admissionApiSecretFile }: RelayConfig,
  resolve: ModeContext["resolve"],
  env: ModeContext["env"],
): Promise<string> {
  return env[secretVariable] || readSecretFile(resolve(admissionApiSecretFile));
}
