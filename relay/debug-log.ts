/**
 * What derper's environment variables have written to the log, for who looks for a fault: TS_DEBUG_VERBOSE_DROPS,
 * DERP_DEBUG_LOGS and DERP_PROBER_DEBUG_LOGS.
 */
import { parseGoBoolean } from "./config/go-values.ts";
import type { ClientInfo } from "./protocol/info.ts";
import { TokenBucket } from "./core/token-bucket.ts";
import type { ClientTrace, Trace } from "./core/trace.ts";
import type { Origin } from "./core/session-context.ts";
import { type NodeKey, parseUntypedKey, renderShortKey } from "./crypto/keys.ts";
import { KitError } from "./errors.ts";
import { decodeIp } from "./ip-address.ts";

export interface DebugLogOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** derper's limits: the same line five times at once, then twice a minute; of so many lines that is known. */
const [linesAtOnce, linesPerSecond, knownLines] = [5, 1 / 30, 100] as const;

/**
 * Reads what is to be logged. A key that is none is left out, and the log says so, as derper does.
 *
 * @throws KitError `config-invalid` for a switch that is no boolean
 */
export function createTrace(options: DebugLogOptions): Trace {
  const { log } = options;
  const keys = readKeys(options);
  const everything = readSwitch(options, "DERP_DEBUG_LOGS");
  const probers = readSwitch(options, "DERP_PROBER_DEBUG_LOGS");
  const limited = limitLines(options);
  const concerns = (key: Buffer): boolean => keys.has(key.toString("hex"));
  return {
    ...(keys.size > 0 || everything
      ? {
          dropped: (reason, source, destination) => {
            const line = `drop (${renderShortKey(source)}) ${reason} -> ${renderShortKey(destination)}`;
            if (everything) log(line);
            else if (concerns(source) || concerns(destination)) limited(line);
          },
        }
      : {}),
    ...(everything || probers
      ? {
          client: (key, info, origin) =>
            everything || info.isProber ? traceClient(key, info, origin, log) : undefined,
        }
      : {}),
  };
}

function traceClient(
  key: NodeKey,
  { isProber }: ClientInfo,
  { ip, port }: Origin,
  log: DebugLogOptions["log"],
): ClientTrace {
  const name = `derp client ${decodeIp(ip)}:${port}${renderShortKey(key)}`;
  return {
    registered: (connections) =>
      log(`${name}: registered${isProber ? " as a prober" : ""}, connections of its key: ${connections}`),
    frame: (type, length) => log(`${name}: read frame type ${type} len ${length}`),
    closed: (reason) => log(`${name}: closed: ${reason}`),
  };
}

function readKeys({ env, log }: DebugLogOptions): ReadonlySet<string> {
  const variable = "TS_DEBUG_VERBOSE_DROPS";
  const keys = new Set<string>();
  for (const text of (env[variable] ?? "").split(",")) {
    const key = parseUntypedKey(text);
    if (key !== undefined) keys.add(key.toString("hex"));
    else if (text !== "")
      log(`${variable}: ${JSON.stringify(text)} is no key of 64 hex digits and is left out`);
  }
  return keys;
}

function readSwitch({ env }: DebugLogOptions, variable: string): boolean {
  const text = env[variable] ?? "";
  const value = text === "" ? false : parseGoBoolean(text);
  if (value !== undefined) return value;
  throw new KitError("config-invalid", {
    message: "The relay's environment has a mistake.",
    problems: [{ path: variable, message: "has to be true or false" }],
  });
}

/** Each line for itself is held back once it has come too often. */
function limitLines({ log, now }: DebugLogOptions): (line: string) => void {
  const buckets = new Map<string, TokenBucket>();
  return (line) => {
    const bucket = buckets.get(line) ?? new TokenBucket(linesPerSecond, linesAtOnce, now());
    buckets.delete(line);
    buckets.set(line, bucket); // The last one: the first is the one that has not come for longest.
    if (buckets.size > knownLines) buckets.delete(buckets.keys().next().value ?? line);
    if (bucket.take(now())) log(line);
  };
}
