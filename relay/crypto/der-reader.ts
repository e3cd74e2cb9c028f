/**
 * Finds elements in DER (ITU-T X.690): only as much as it takes to get at what Node's `X509Certificate` does not show.
 *
 * Strict: a length in another form than the one that DER allows, or one beyond the end, makes the whole unreadable.
 * Nothing is decoded here; contents stay bytes.
 */

export interface DerElement {
  /** The identifier byte; 0x30 is SEQUENCE. Tags of several bytes are in no certificate and unreadable. */
  readonly tag: number;
  readonly contents: Buffer;
  /** Header and contents. */
  readonly whole: Buffer;
}

/**
 * Reads the elements that follow one another and fill the bytes.
 *
 * @returns undefined if they are not DER
 */
export function readElements(bytes: Uint8Array): DerElement[] | undefined {
  const elements: DerElement[] = [];
  let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  while (rest.length > 0) {
    const element = readElement(rest);
    if (element === undefined) return undefined;
    elements.push(element);
    rest = rest.subarray(element.whole.length);
  }
  return elements;
}

/**
 * Reads the members of the one SEQUENCE that fills the bytes.
 *
 * @returns undefined if there is anything else
 */
export function readSequence(bytes: Uint8Array): DerElement[] | undefined {
  const elements = readElements(bytes);
  const [only] = elements ?? [];
  return elements?.length === 1 && only?.tag === 0x30 ? readElements(only.contents) : undefined;
}

function readElement(bytes: Buffer): DerElement | undefined {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  const length = first < 0x80 ? { value: first, bytes: 0 } : readLongLength(bytes.subarray(2), first & 0x7f);
  if (length === undefined) return undefined;
  const start = 2 + length.bytes;
  const end = start + length.value;
  if (end > bytes.length) return undefined;
  return { tag, contents: bytes.subarray(start, end), whole: bytes.subarray(0, end) };
}

/** A length of 128 or more, in as few bytes as it takes (X.690, 8.1.3 and 10.1). Four of them are plenty. */
function readLongLength(bytes: Buffer, count: number): { value: number; bytes: number } | undefined {
  if (count === 0 || count > 4 || bytes.length < count) return undefined;
  const value = bytes.readUIntBE(0, count);
  const shortest = value >= 0x80 && bytes[0] !== 0;
  return shortest ? { value, bytes: count } : undefined;
}
