/** IP addresses as bytes: in certificates, STUN answers and PeerPresent frames. */
import { isIPv4, isIPv6 } from "node:net";

/** What comes before an IPv4 address in its IPv6 form, `::ffff:192.0.2.1` (RFC 4291, 2.5.5.2). */
const mappedPrefix = Buffer.from("00000000000000000000ffff", "hex");

/**
 * Encodes an address in 4 or 16 bytes. A zone (`fe80::1%eth0`) is left out.
 *
 * @returns undefined if the text is no address
 */
export function encodeIp(text: string): Buffer | undefined {
  if (isIPv4(text)) return encodeIpv4(text);
  if (!isIPv6(text)) return undefined;
  const [address = ""] = text.split("%");
  const [head = Buffer.alloc(0), tail = Buffer.alloc(0)] = address.split("::").map(encodeGroups);
  return Buffer.concat([head, Buffer.alloc(16 - head.length - tail.length), tail]);
}

/**
 * Decodes 4 or 16 bytes. IPv6 comes out in its short form (RFC 5952), a v4-mapped address as the IPv4 one.
 *
 * @returns undefined for any other number of bytes
 */
export function decodeIp(bytes: Uint8Array): string | undefined {
  const plain = unmapIp(bytes);
  if (plain.length === 4) return plain.join(".");
  if (plain.length !== 16) return undefined;
  const groups = Buffer.from(plain).toString("hex").match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/**
 * The short form of an address, without its zone; a v4-mapped one as IPv4. A dual-stack socket of Node reports
 * `::ffff:192.0.2.1` where Go's says `192.0.2.1`.
 *
 * @returns undefined if the text is no address
 */
export function normaliseIp(text: string): string | undefined {
  const bytes = encodeIp(text);
  return bytes === undefined ? undefined : decodeIp(bytes);
}

/** The 16 bytes of an address, IPv4 in its mapped form; all zero without one. */
export function mapIp(bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) return Buffer.alloc(16);
  return bytes.length === 4 ? Buffer.concat([mappedPrefix, bytes]) : Buffer.from(bytes);
}

/** The 4 bytes of a v4-mapped address; any other bytes as they are. */
export function unmapIp(bytes: Uint8Array): Uint8Array {
  return bytes.length === 16 && mappedPrefix.equals(bytes.subarray(0, 12)) ? bytes.subarray(12) : bytes;
}

function encodeIpv4(text: string): Buffer {
  return Buffer.from(text.split(".").map(Number));
}

/** What stands on one side of `::`: groups of 16 bits, of which the last two may be written as an IPv4 address. */
function encodeGroups(text: string): Buffer {
  const groups = text === "" ? [] : text.split(":");
  return Buffer.concat(
    groups.map((group) =>
      group.includes(".") ? encodeIpv4(group) : Buffer.from(group.padStart(4, "0"), "hex"),
    ),
  );
}
