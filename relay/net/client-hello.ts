/** Reads what a client says in its first TLS message, before TLS is done with it: whom it asks for, and with which ALPN. */

export interface ClientHello {
  /** SNI as the client has written it; undefined if it names no server. */
  readonly servername: string | undefined;
  /** Protocols of ALPN in the client's order; empty if it sends none. */
  readonly alpn: readonly string[];
}

export type HelloReading =
  | { readonly kind: "partial" }
  | ({ readonly kind: "hello" } & ClientHello)
  /** No TLS, or none that can be made sense of. */
  | { readonly kind: "foreign" };

export interface HelloReader {
  /** Takes what comes next. What it says other than `partial` stays. */
  push(chunk: Uint8Array): HelloReading;
  /** All that was taken, for whoever goes on with the connection. */
  readonly bytes: Buffer;
}

/** A hello that is not whole by then is not waited for. Those with post-quantum keys have some 2 KiB. */
export const maxHelloBytes = 16_384;

/** RFC 8446, sections 5.1, 4 and 4.2; RFC 6066, section 3. */
const [handshakeRecord, clientHello, serverNameExtension, alpnExtension, hostName] = [22, 1, 0, 16, 0];
const messageHeader = 4;

const partial: HelloReading = { kind: "partial" };
const foreign: HelloReading = { kind: "foreign" };

/** A hello may come in any pieces, of TCP's and of TLS's own. Each byte is looked at once, however small they are. */
export function createHelloReader(): HelloReader {
  const [chunks, parts]: [Uint8Array[], Uint8Array[]] = [[], []];
  const header: number[] = [];
  let [total, leftOfRecord, leftOfMessage] = [0, 0, messageHeader];
  let reading = partial;

  /** Takes what belongs to one record, or to one header. @returns how much that is */
  const step = (bytes: Uint8Array): number => {
    if (leftOfRecord === 0) {
      header.push(bytes[0] ?? 0);
      const length = readRecordHeader(header);
      if (length === undefined) reading = foreign;
      else if (length > 0) header.length = 0;
      leftOfRecord = length ?? 0;
      return 1;
    }
    const part = bytes.subarray(0, Math.min(leftOfRecord, leftOfMessage));
    parts.push(part);
    leftOfRecord -= part.length;
    leftOfMessage -= part.length;
    if (leftOfMessage === 0) endOfPart();
    return part.length;
  };
  /** The message's header is whole, and says how long the message is; or the message is. */
  const endOfPart = (): void => {
    const message = Buffer.concat(parts);
    leftOfMessage = message.readUIntBE(1, 3) + messageHeader - message.length;
    if (message[0] !== clientHello || leftOfMessage > maxHelloBytes) reading = foreign;
    else if (leftOfMessage === 0) reading = readHello(message.subarray(messageHeader));
  };
  return {
    push(chunk) {
      chunks.push(chunk);
      total += chunk.length;
      for (let at = 0; at < chunk.length && reading.kind === "partial";) at += step(chunk.subarray(at));
      if (reading.kind === "partial" && total >= maxHelloBytes) reading = foreign;
      return reading;
    },
    get bytes() {
      return Buffer.concat(chunks);
    },
  };
}

/** @returns the record's length, 0 if the header is not whole, undefined if it is not that of a handshake */
function readRecordHeader([type, major, , high, low]: readonly number[]): number | undefined {
  if (type !== handshakeRecord || (major !== undefined && major !== 3)) return undefined;
  if (high === undefined || low === undefined) return 0;
  return high * 256 + low || undefined; // RFC 8446, 5.1: no handshake record is empty.
}

function readHello(body: Buffer): HelloReading {
  try {
    return { kind: "hello", ...parseHello(body) };
  } catch (error) {
    if (error instanceof RangeError) return foreign;
    throw error;
  }
}

/** @throws RangeError if a length leads out of what holds it */
function parseHello(body: Buffer): ClientHello {
  const fields = createCursor(body);
  fields.take(2 + 32); // version and random
  fields.vector(1); // session id
  fields.vector(2); // cipher suites
  fields.vector(1); // compression methods
  let servername: string | undefined;
  let alpn: string[] = [];
  // A hello without extensions ends here.
  const extensions = createCursor(fields.left === 0 ? Buffer.alloc(0) : fields.vector(2));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const content = createCursor(extensions.vector(2));
    if (type === serverNameExtension) servername = parseServerName(createCursor(content.vector(2)));
    else if (type === alpnExtension) alpn = parseAlpn(createCursor(content.vector(2)));
  }
  return { servername, alpn };
}

function parseServerName(list: Cursor): string | undefined {
  while (list.left > 0) {
    const type = list.number(1);
    const name = list.vector(2).toString("latin1");
    if (type === hostName && name !== "") return name;
  }
  return undefined;
}

function parseAlpn(list: Cursor): string[] {
  const protocols: string[] = [];
  while (list.left > 0) protocols.push(list.vector(1).toString("latin1"));
  return protocols;
}

interface Cursor {
  readonly left: number;
  /** Each moves on. @throws RangeError if there is not so much left */
  take(length: number): Buffer;
  number(size: 1 | 2): number;
  /** A field behind its length, which has so many bytes. */
  vector(size: 1 | 2): Buffer;
}

function createCursor(bytes: Buffer): Cursor {
  let at = 0;
  const cursor: Cursor = {
    get left() {
      return bytes.length - at;
    },
    take(length) {
      if (length > bytes.length - at) throw new RangeError("a length leads out of the hello");
      at += length;
      return bytes.subarray(at - length, at);
    },
    number: (size) => cursor.take(size).readUIntBE(0, size),
    vector: (size) => cursor.take(cursor.number(size)),
  };
  return cursor;
}
