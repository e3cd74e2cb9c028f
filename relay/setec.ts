/**
 * A secret from a setec server (github.com/tailscale/setec), fetched and kept as derper does. The server knows who asks by
 * the Tailscale address that the request comes from, so nothing is shown to it.
 *
 * Request and answer are those of setec's docs/api.md, method `/api/get`. The kept file is setec's own format, so that
 * derper and this relay find each other's.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { SecureContext } from "node:tls";
import * as v from "valibot";
import { describeFailure } from "./outbound/failure.ts";
import { type AgentFor, buildAgents, sendRequest } from "./outbound/http.ts";
import { readIfThere, writeWhole } from "./config/files.ts";

export interface SetecOptions {
  /** The server's URL. */
  readonly url: string;
  /** The secret's name, such as `prod/derp/meshkey`. */
  readonly name: string;
  /** File that secrets are kept in; absolute. */
  readonly cache: string;
  /** For the proxy's variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly trust: SecureContext;
  /** Seconds since 1970. */
  readonly now: () => number;
  readonly log: (line: string) => void;
}

const valueSchema = v.object({ Value: v.pipe(v.string(), v.base64()), Version: v.number() });
const keptSchema = v.object({ secret: valueSchema });
type Value = v.InferOutput<typeof valueSchema>;

const answerMs = 10_000;
const maxBytes = 65_536;
/** derper's waits between attempts: doubled from the first on. */
const [firstWaitMs, longestWaitMs] = [1, 4_096];

/**
 * Reads a secret: the kept one if there is one, which derper never asks about again; else the server's, for as long as it
 * takes to get it, and keeps that.
 *
 * @throws KitError `file-unreadable` if the file cannot be read
 */
export async function readSecret(options: SetecOptions): Promise<string> {
  const { name, cache, now, log } = options;
  const kept = parseObject(await readIfThere(cache, "The kept secrets cannot be read."));
  const known = v.safeParse(keptSchema, kept[name]);
  if (known.success) return decode(known.output.secret);
  const secret = await fetchUntilThere(options);
  const entry = { secret, lastAccess: `${Math.floor(now())}` };
  try {
    await writeWhole(cache, JSON.stringify({ ...kept, [name]: entry }), 0o600);
  } catch (error) {
    log(`the secret ${name} cannot be kept in ${cache}: ${describeFailure(error)}`);
  }
  return decode(secret);
}

async function fetchUntilThere({ url, name, env, trust, log }: SetecOptions): Promise<Value> {
  const agentFor = buildAgents({ env, trust });
  const target = new URL(`${url.replace(/\/$/, "")}/api/get`);
  let lastReason = "";
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    try {
      return await fetchSecret(target, name, agentFor);
    } catch (error) {
      const reason = describeFailure(error);
      if (reason !== lastReason) log(`${target.host} gives no secret ${name}: ${reason}; trying again`);
      lastReason = reason;
    }
    await sleep(waitMs);
  }
}

async function fetchSecret(url: URL, name: string, agentFor: AgentFor): Promise<Value> {
  const { status, body, complete } = await sendRequest({
    url,
    method: "POST",
    // The second keeps scripts in browsers out: they cannot set a header of that name.
    headers: { "Content-Type": "application/json", "Sec-X-Tailscale-No-Browsers": "setec" },
    // Version 0 is the active one.
    body: JSON.stringify({ Name: name, Version: 0, UpdateIfChanged: false }),
    agent: agentFor(url),
    maxBytes,
    signal: AbortSignal.timeout(answerMs),
  });
  if (status !== 200) throw new Error(meanings[status] ?? `status ${status}`);
  const answer = v.safeParse(valueSchema, complete ? parseObject(body.toString()) : {});
  if (!answer.success) throw new Error("the answer is no secret");
  return answer.output;
}

const meanings: Readonly<Record<number, string>> = {
  403: "it denies access",
  404: "it has no such secret",
};

/** What is no JSON object has no members. */
function parseObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text ?? "") as object) };
  } catch {
    return {};
  }
}

function decode({ Value: base64 }: Value): string {
  return Buffer.from(base64, "base64").toString();
}
