/** What the Tailscale API answers, read with care. */
import { parseNodeKey } from "../crypto/keys.ts";

/** An OAuth access token. Never to be printed. */
export interface AccessToken {
  readonly value: string;
  readonly livesMs: number;
}

/**
 * Reads the answer of `POST /api/v2/oauth/token` (RFC 6749, section 5.1).
 *
 * @returns undefined if it is none
 */
export function parseAccessToken(json: Buffer): AccessToken | undefined {
  const { access_token: value, expires_in: seconds } = parseObject(json);
  // Visible ASCII without blanks (RFC 6750, section 2.1), as it becomes part of a header.
  if (typeof value !== "string" || !/^[!-~]+$/.test(value)) return undefined;
  if (typeof seconds !== "number" || !(seconds > 0)) return undefined;
  return { value, livesMs: seconds * 1_000 };
}

/**
 * Reads the answer of `GET /api/v2/tailnet/-/devices`: the node keys, as lower-case hex, of all devices but those that
 * wait for approval. Devices without a key are passed over.
 *
 * @returns undefined if it is no such list
 */
export function parseDeviceKeys(json: Buffer): ReadonlySet<string> | undefined {
  const { devices } = parseObject(json);
  if (!Array.isArray(devices)) return undefined;
  return new Set(devices.flatMap(keysOfDevice));
}

function keysOfDevice(device: unknown): string[] {
  if (typeof device !== "object" || device === null) return [];
  const { nodeKey: text, authorized } = device as { nodeKey?: unknown; authorized?: unknown };
  const key = typeof text === "string" && authorized !== false ? parseNodeKey(text) : undefined;
  return key === undefined ? [] : [key.toString("hex")];
}

function parseObject(json: Buffer): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(json.toString("utf8"));
    return typeof document === "object" && document !== null ? (document as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
