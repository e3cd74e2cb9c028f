/** The two JSON documents of the handshake, read as Go's decoder reads them and written as Go writes them. */
import { keyLength, protocolVersion } from "./frame.ts";

/** What a client says of itself. */
export interface ClientInfo {
  /** The mesh key it presents: 64 hex digits. */
  readonly meshKey?: string;
  /** Its protocol version; nobody enforces it. */
  readonly version: number;
  /** It answers Ping with Pong. */
  readonly canAckPings: boolean;
  /** It is a monitoring probe. */
  readonly isProber: boolean;
  /** Opaque, for statistics. */
  readonly appName: string;
}

/** What a relay says of itself. A rate other than 0 makes the client police its own sending. */
export interface ServerInfo {
  readonly version: number;
  readonly tokenBucketBytesPerSecond?: number;
  readonly tokenBucketBytesBurst?: number;
}

/**
 * Reads ClientInfo with the verdicts of derper: names match in any case, unknown ones are ignored, `null` stands for
 * nothing said (but not as a mesh key), a wrong type is an error.
 *
 * @returns undefined if the document has to close the connection
 */
export function parseClientInfo(json: Uint8Array): ClientInfo | undefined {
  const fields = parseObject(json);
  if (fields === undefined) return undefined;
  const meshKey = fields.get("meshkey");
  if (meshKey !== undefined && !(typeof meshKey === "string" && isMeshKey(meshKey))) return undefined;
  const version = fields.get("version") ?? 0;
  const canAckPings = fields.get("canackpings") ?? false;
  const isProber = fields.get("isprober") ?? false;
  const appName = fields.get("appname") ?? "";
  if (!Number.isSafeInteger(version)) return undefined;
  if (typeof canAckPings !== "boolean" || typeof isProber !== "boolean") return undefined;
  if (typeof appName !== "string") return undefined;
  return {
    ...(meshKey === undefined ? {} : { meshKey }),
    version: version as number,
    canAckPings,
    isProber,
    appName,
  };
}

/** Writes ClientInfo in Go's order of fields. */
export function renderClientInfo(info: ClientInfo): Buffer {
  return Buffer.from(
    JSON.stringify({
      meshKey: info.meshKey,
      version: info.version,
      CanAckPings: info.canAckPings,
      IsProber: info.isProber || undefined,
      AppName: info.appName || undefined,
    }),
  );
}

/** Reads ServerInfo; undefined if a client has to drop the connection. */
export function parseServerInfo(json: Uint8Array): ServerInfo | undefined {
  const fields = parseObject(json);
  const version = fields?.get("version") ?? 0;
  const rate = fields?.get("tokenbucketbytespersecond") ?? 0;
  const burst = fields?.get("tokenbucketbytesburst") ?? 0;
  if (fields === undefined || ![version, rate, burst].every(Number.isSafeInteger)) return undefined;
  return {
    version: version as number,
    tokenBucketBytesPerSecond: rate as number,
    tokenBucketBytesBurst: burst as number,
  };
}

/** Writes ServerInfo; a rate of 0 is left out. */
export function renderServerInfo(info: ServerInfo = { version: protocolVersion }): Buffer {
  return Buffer.from(
    JSON.stringify({
      version: info.version,
      TokenBucketBytesPerSecond: info.tokenBucketBytesPerSecond || undefined,
      TokenBucketBytesBurst: info.tokenBucketBytesBurst || undefined,
    }),
  );
}

/** A mesh key's text: 32 bytes as hex, of either case, with nothing around it. */
export function isMeshKey(text: string): boolean {
  return text.length === 2 * keyLength && /^[0-9a-fA-F]+$/.test(text);
}

/** An object's fields under lower-case names; the document `null` is an object without fields. */
function parseObject(json: Uint8Array): ReadonlyMap<string, unknown> | undefined {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(json).toString("utf8"));
  } catch {
    return undefined;
  }
  if (document === null) return new Map();
  if (typeof document !== "object" || Array.isArray(document)) return undefined;
  return new Map(Object.entries(document).map(([name, value]) => [name.toLowerCase(), value]));
}
