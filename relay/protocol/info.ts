/** The two JSON documents of the handshake, read as Go's decoder reads them and written as Go writes them. */
import { keyLength, protocolVersion } from "./frame.ts";
import { bool, buildStructReader, int, string } from "./go-json.ts";

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
 * Reads ClientInfo with the verdicts of derper, which are those of Go's decoder.
 *
 * @returns undefined if the document has to close the connection
 */
export function parseClientInfo(json: Uint8Array): ClientInfo | undefined {
  const fields = readClientInfo(json);
  return fields && { version: 0, canAckPings: false, isProber: false, appName: "", ...fields };
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
  const fields = readServerInfo(json);
  return fields && { version: 0, tokenBucketBytesPerSecond: 0, tokenBucketBytesBurst: 0, ...fields };
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

const readClientInfo = buildStructReader<ClientInfo>({
  meshKey,
  version: int,
  canAckPings: bool,
  isProber: bool,
  appName: string,
});

const readServerInfo = buildStructReader<ServerInfo>({
  version: int,
  tokenBucketBytesPerSecond: int,
  tokenBucketBytesBurst: int,
});

/** Its type in Go decides for itself: no `null`, and nothing shorter or longer. */
function meshKey(literal: string): string | undefined {
  const key = string(literal);
  return typeof key === "string" && isMeshKey(key) ? key : undefined;
}
