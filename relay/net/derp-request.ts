/**
 * Recognises the one request that nearly every connection begins with, as Tailscale's clients write it, without an HTTP
 * server: Node's and Bun's take an eighth of a login's time for it, and Bun's keeps 6 KiB of it for as long as the client stays.
 *
 * Only what cannot be read in two ways is recognised, so that nobody sees a difference: all else, a byte out of place
 * suffices, is for the HTTP server. Pure.
 */
import type { RequestHead } from "./http-request.ts";

export interface DerpRequest {
  readonly head: RequestHead;
  /** Bytes of the request; what follows belongs to DERP. */
  readonly length: number;
}

const requestLine = "GET /derp HTTP/1.1\r\n";
/** Longer than any that a client writes. */
const maxLength = 2_048;
/** One header: a plain name, and a value of printable characters without blanks at its ends. */
const headerLine = /^([A-Za-z][A-Za-z\d-]*): ([!-~](?:[ -~]*[!-~])?)$/;
/** Headers that change how a request is read or answered. */
const special = new Set(["content-length", "transfer-encoding", "expect", "te", "trailer"]);

/** @param bytes as they came: one read, mostly one TLS record */
export function recogniseDerpRequest(bytes: Buffer): DerpRequest | undefined {
  const text = bytes.toString("latin1", 0, maxLength);
  const end = text.indexOf("\r\n\r\n");
  if (end === -1 || !text.startsWith(requestLine)) return undefined;
  const rawHeaders: string[] = [];
  const values = new Map<string, string>();
  for (const line of text.slice(requestLine.length, end).split("\r\n")) {
    const [, name = "", value = ""] = headerLine.exec(line) ?? [];
    const known = name.toLowerCase();
    if (name === "" || special.has(known) || values.has(known)) return undefined;
    rawHeaders.push(name, value);
    values.set(known, value.toLowerCase());
  }
  if (values.get("connection") !== "upgrade" || values.get("upgrade") !== "derp") return undefined;
  return { head: { method: "GET", target: "/derp", rawHeaders, version: "1.1" }, length: end + 4 };
}
