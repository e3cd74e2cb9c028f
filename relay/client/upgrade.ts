/** The HTTP request that turns a connection into DERP, and its answer. Pure. */
import { isIPv6 } from "node:net";
import { type NodeKey, parseUntypedKey } from "../crypto/keys.ts";

/** What a 101 answer tells. */
export interface UpgradeAnswer {
  /** `Derp-Public-Key`, if it is there and a key. Clients do not need it. */
  readonly headerKey: NodeKey | undefined;
}

/** More head than this no relay sends. In bytes. */
const maxHead = 16_384;
const endOfHead = Buffer.from("\r\n\r\n");

/**
 * Encodes the request of a native client.
 *
 * @param fastStart asks the relay to answer with frames at once, without a 101
 */
export function encodeUpgradeRequest(hostName: string, fastStart: boolean): Buffer {
  const lines = [
    "GET /derp HTTP/1.1",
    `Host: ${isIPv6(hostName) ? `[${hostName}]` : hostName}`,
    "Connection: Upgrade",
    "Upgrade: DERP",
    "User-Agent: derpkit",
    ...(fastStart ? ["Derp-Fast-Start: 1"] : []),
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** Gathers the head of an HTTP answer, wherever the stream is cut. */
export class HeadReader {
  readonly #bytes = Buffer.alloc(maxHead);
  #fill = 0;

  /**
   * Takes the next bytes of the stream.
   *
   * @returns the head and what follows it, `undefined` while the head is not complete, or `too-long`
   */
  push(chunk: Buffer): { head: string; rest: Buffer } | "too-long" | undefined {
    const before = this.#fill;
    this.#fill += chunk.copy(this.#bytes, before);
    const end = this.#bytes
      .subarray(0, this.#fill)
      .indexOf(endOfHead, Math.max(0, before - endOfHead.length));
    if (end === -1) return this.#fill === maxHead ? "too-long" : undefined;
    const rest = chunk.subarray(end + endOfHead.length - before);
    return { head: this.#bytes.toString("latin1", 0, end), rest };
  }
}

/**
 * Parses the head of the answer. Clients want status 101 and look at nothing else.
 *
 * @returns the answer, or what it is instead as a clause
 */
export function parseUpgradeAnswer(head: string): UpgradeAnswer | string {
  const [statusLine = "", ...fields] = head.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) return "the server answered with something that is not HTTP";
  if (status !== "101") return `the server answered the upgrade to DERP with HTTP status ${status}`;
  const key = fields.find((field) => /^derp-public-key:/i.test(field));
  return {
    headerKey: key === undefined ? undefined : parseUntypedKey(key.slice(key.indexOf(":") + 1).trim()),
  };
}
