/**
 * The two STUN messages of a tailnet (RFC 8489), as Tailscale's `net/stun` reads and writes them.
 *
 *   message    type(2) length of the attributes(2) magic cookie(4) transaction id(12), then attributes
 *   attribute  type(2) length(2) value, padded to a multiple of 4
 *   request    binding request; SOFTWARE "tailnode", FINGERPRINT last
 *   response   binding success; XOR-MAPPED-ADDRESS, the address that the request came from, and nothing else
 *   address    0(1) family(1) port(2) address(4 or 16), port and address XORed with the cookie and the transaction id
 */
import { crc32 } from "node:zlib";
import { decodeIp, encodeIp, unmapIp } from "../ip-address.ts";

export const transactionIdLength = 12;

const headerLength = 20;
const cookie = Buffer.from("2112a442", "hex");
const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;

const Attribute = {
  mappedAddress: 0x0001,
  xorMappedAddress: 0x0020,
  /** The number that XOR-MAPPED-ADDRESS had in drafts; some servers still send it. */
  xorMappedAddressDraft: 0x8020,
  software: 0x8022,
  fingerprint: 0x8028,
} as const;

const software = Buffer.from("tailnode");
const fingerprintLength = 8;
const fingerprintMask = 0x5354554e;
const familyIpv4 = 0x01;
const familyIpv6 = 0x02;

/** What a response tells its client: where its request seemed to come from. */
export interface BindingResponse {
  /** 12 bytes, those of the request. */
  readonly transactionId: Buffer;
  /** IPv4 in dotted form, also if the server gave it v4-mapped. */
  readonly address: string;
  readonly port: number;
}

/** Tells STUN from everything else that may arrive at the same port: the header's fixed bits and its cookie. */
export function isStunMessage(datagram: Buffer): boolean {
  return (
    datagram.length >= headerLength && datagram.readUInt8(0) < 0x40 && cookie.equals(datagram.subarray(4, 8))
  );
}

/** Encodes the request that Tailscale clients send: 40 bytes. @param transactionId 12 random bytes */
export function encodeBindingRequest(transactionId: Uint8Array): Buffer {
  const message = Buffer.concat([
    encodeHeader(bindingRequest, 4 + software.length + fingerprintLength, transactionId),
    encodeAttribute(Attribute.software, software),
  ]);
  return Buffer.concat([message, encodeAttribute(Attribute.fingerprint, encodeFingerprint(message))]);
}

/**
 * Decodes a request of a Tailscale client.
 *
 * @returns its transaction id (12 bytes, a view), or undefined for everything that gets no answer: not a binding
 *   request, attributes that do not fill the datagram, no SOFTWARE "tailnode", or a last attribute that is not the
 *   right FINGERPRINT. The header's length is not looked at.
 */
export function decodeBindingRequest(datagram: Buffer): Buffer | undefined {
  if (!isStunMessage(datagram) || datagram.readUInt16BE(0) !== bindingRequest) return undefined;
  const attributes = decodeAttributes(datagram.subarray(headerLength));
  const last = attributes?.at(-1);
  if (!attributes?.some(({ type, value }) => type === Attribute.software && software.equals(value)))
    return undefined;
  if (last?.type !== Attribute.fingerprint) return undefined;
  const covered = datagram.subarray(0, -fingerprintLength);
  return encodeFingerprint(covered).equals(last.value) ? transactionIdOf(datagram) : undefined;
}

/**
 * Encodes the answer: 32 bytes for IPv4, 44 for IPv6. A v4-mapped address is answered as IPv4; derper on a dual-stack
 * socket says IPv6 there, which only Tailscale's clients understand.
 *
 * @param transactionId 12 bytes, those of the request
 * @param address where the request came from
 */
export function encodeBindingResponse(transactionId: Uint8Array, address: string, port: number): Buffer {
  const encoded = encodeIp(address);
  if (encoded === undefined) throw new RangeError(`not an IP address: ${address}`);
  const ip = unmapIp(encoded);
  const value = Buffer.alloc(4 + ip.length);
  value.writeUInt8(ip.length === 4 ? familyIpv4 : familyIpv6, 1);
  value.writeUInt16BE(port ^ cookie.readUInt16BE(0), 2);
  value.set(xor(ip, transactionId), 4);
  return Buffer.concat([
    encodeHeader(bindingSuccess, 4 + value.length, transactionId),
    encodeAttribute(Attribute.xorMappedAddress, value),
  ]);
}

/**
 * Decodes a response as leniently as Tailscale's clients: the draft's attribute number counts, other attributes and
 * bytes after the announced length are ignored, and MAPPED-ADDRESS serves where no XOR-MAPPED-ADDRESS is.
 *
 * @returns undefined for anything but a binding success that holds an address
 */
export function decodeBindingResponse(datagram: Buffer): BindingResponse | undefined {
  if (!isStunMessage(datagram) || datagram.readUInt16BE(0) !== bindingSuccess) return undefined;
  const end = headerLength + datagram.readUInt16BE(2);
  const attributes =
    end > datagram.length ? undefined : decodeAttributes(datagram.subarray(headerLength, end));
  const transactionId = transactionIdOf(datagram);
  const found =
    attributes?.find(
      ({ type }) => type === Attribute.xorMappedAddress || type === Attribute.xorMappedAddressDraft,
    ) ?? attributes?.find(({ type }) => type === Attribute.mappedAddress);
  const place = found === undefined ? undefined : decodeAddress(found, transactionId);
  return place === undefined ? undefined : { transactionId: Buffer.from(transactionId), ...place };
}

interface AttributeView {
  readonly type: number;
  readonly value: Buffer;
}

/** The attributes of a message, or undefined if one runs past the end. */
function decodeAttributes(bytes: Buffer): AttributeView[] | undefined {
  const attributes: AttributeView[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 4) return undefined;
    const length = bytes.readUInt16BE(at + 2);
    const start = at + 4;
    at = start + padded(length);
    if (at > bytes.length) return undefined;
    attributes.push({ type: bytes.readUInt16BE(start - 4), value: bytes.subarray(start, start + length) });
  }
  return attributes;
}

function decodeAddress(
  { type, value }: AttributeView,
  transactionId: Uint8Array,
): Pick<BindingResponse, "address" | "port"> | undefined {
  const ip = value.subarray(4);
  const family = value.length < 4 ? undefined : value.readUInt8(1);
  if (!(family === familyIpv4 && ip.length === 4) && !(family === familyIpv6 && ip.length === 16))
    return undefined;
  const plain = type === Attribute.mappedAddress;
  const address = decodeIp(plain ? ip : xor(ip, transactionId));
  const port = value.readUInt16BE(2) ^ (plain ? 0 : cookie.readUInt16BE(0));
  return address === undefined ? undefined : { address, port };
}

function encodeHeader(type: number, attributesLength: number, transactionId: Uint8Array): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(attributesLength, 2);
  header.set(cookie, 4);
  header.set(transactionId, 8);
  return header;
}

function encodeAttribute(type: number, value: Uint8Array): Buffer {
  const attribute = Buffer.alloc(4 + padded(value.length));
  attribute.writeUInt16BE(type, 0);
  attribute.writeUInt16BE(value.length, 2);
  attribute.set(value, 4);
  return attribute;
}

/** RFC 8489, 14.7: CRC-32 of all that comes before the attribute, XORed so that no other CRC-32 is taken for it. */
function encodeFingerprint(covered: Uint8Array): Buffer {
  const value = Buffer.alloc(4);
  value.writeUInt32BE((crc32(covered) ^ fingerprintMask) >>> 0);
  return value;
}

/** RFC 8489, 14.2: the mask of an address is the cookie, and for IPv6 the transaction id behind it. */
function xor(ip: Uint8Array, transactionId: Uint8Array): Buffer {
  const mask = Buffer.concat([cookie, transactionId]);
  return Buffer.from(ip.map((byte, index) => byte ^ (mask[index] ?? 0)));
}

function transactionIdOf(datagram: Buffer): Buffer {
  return datagram.subarray(8, headerLength);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
