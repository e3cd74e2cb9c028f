/**
 * A writer for the part of DER (ITU-T X.690) that X.509 certificates are made of. Each function encodes one element;
 * elements nest by passing encoded ones along.
 *
 * Certificates are parsed by Node's `X509Certificate`; der-reader.ts finds the little that it does not show.
 */

/** Encodes SEQUENCE. */
export function sequence(...elements: readonly Uint8Array[]): Buffer {
  return encode(0x30, elements);
}

/** Encodes SET OF with a single member, the only kind that needs no sorting. */
export function setOfOne(element: Uint8Array): Buffer {
  return encode(0x31, [element]);
}

/** Encodes TRUE. FALSE is a default wherever certificates use a BOOLEAN, and DER leaves defaults out. */
export function booleanTrue(): Buffer {
  return encode(0x01, [Buffer.of(0xff)]);
}

/** Encodes INTEGER from an unsigned big-endian number of any length, in the shortest form (X.690, 8.3.2). */
export function unsignedInteger(bigEndian: Uint8Array): Buffer {
  const firstUsed = bigEndian.findIndex((byte) => byte !== 0);
  const digits = firstUsed === -1 ? Buffer.of(0) : bigEndian.subarray(firstUsed);
  const readsAsNegative = (digits[0] ?? 0) >= 0x80;
  return encode(0x02, readsAsNegative ? [Buffer.of(0), digits] : [digits]);
}

/** Encodes BIT STRING. `unusedBits` (0 to 7) is how many low bits of the last byte do not belong to it. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encode(0x03, [Buffer.of(unusedBits), bytes]);
}

/** Encodes OCTET STRING. */
export function octetString(bytes: Uint8Array): Buffer {
  return encode(0x04, [bytes]);
}

/** Encodes OBJECT IDENTIFIER from its dotted form, for example `2.5.4.3`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return encode(0x06, [Buffer.from([first * 40 + second, ...rest].flatMap(base128))]);
}

/** Encodes UTF8String. */
export function utf8String(text: string): Buffer {
  return encode(0x0c, [Buffer.from(text, "utf8")]);
}

/** Encodes PrintableString. The text is letters, digits, space and `'()+,-./:=?` only; the caller vouches for it. */
export function printableString(text: string): Buffer {
  return encode(0x13, [Buffer.from(text, "ascii")]);
}

/**
 * Encodes a certificate's Time, in whole seconds: UTCTime up to the year 2049, GeneralizedTime from then on
 * (RFC 5280, 4.1.2.5).
 */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}Z`;
  const year = date.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? encode(0x17, [Buffer.from(digits.slice(2), "ascii")])
    : encode(0x18, [Buffer.from(digits, "ascii")]);
}

/** Encodes `[number] EXPLICIT`: the element inside an element of its own. */
export function explicit(number: number, element: Uint8Array): Buffer {
  return encode(0xa0 | number, [element]);
}

/** Encodes `[number] IMPLICIT` of a primitive type: the contents under the number in place of their own tag. */
export function implicit(number: number, contents: Uint8Array): Buffer {
  return encode(0x80 | number, [contents]);
}

function encode(tag: number, contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.of(tag, ...encodeLength(body.length)), body]);
}

/** One byte below 128; from there on the number of length bytes, then the length (X.690, 8.1.3). */
function encodeLength(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** Seven bits a byte, highest first, the top bit set on all but the last (X.690, 8.19.2). */
function base128(component: number): number[] {
  const bytes = [component % 128];
  for (let rest = Math.floor(component / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | (rest % 128));
  }
  return bytes;
}
