/** Bundles from a web server: the operator's own, or a bucket that this machine's address may read. */
import type { Agent } from "node:http";
import { KitError } from "../errors.ts";
import { describeFailure } from "../outbound/failure.ts";
import { sendRequest } from "../outbound/http.ts";
import type { FetchLimits, Source } from "../updater/source.ts";

export interface HttpSourceOptions {
  /** Folder of the region's bundle, with or without a final slash. */
  readonly base: URL;
  readonly agentFor: (url: URL) => Agent;
}

/** What was fetched last under a name that keeps its place: asked for again, the server may say that it is the same. */
interface Kept {
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/** Redirects that are followed: object stores and release pages have one or two. */
const mostRedirects = 5;
/** Only what is asked for again and again is kept; everything else is fetched once. */
const keptBytes = 524_288;

/**
 * A folder of a web server. `If-None-Match` spares the transfer of a manifest that did not change.
 *
 * Status 404 and 410, and 403 as object stores answer for what is not there, mean that there is no such file.
 */
export function httpSource({ base, agentFor }: HttpSourceOptions): Source {
  const folder = new URL(base.href.endsWith("/") ? base : `${base.href}/`);
  const kept = new Map<string, Kept>();

  async function fetchFrom(url: URL, { maxBytes, signal }: FetchLimits): Promise<Uint8Array | undefined> {
    const known = kept.get(url.href);
    const headers = known === undefined ? {} : { "If-None-Match": known.etag };
    const { status, headers: answer, body, complete } = await follow(url, headers, maxBytes + 1, signal);
    if (status === 304 && known !== undefined) return known.bytes;
    if (status === 403 || status === 404 || status === 410) return undefined;
    if (status !== 200) throw unreadable(url, `answered with HTTP status ${status}`);
    if (!complete && body.length <= maxBytes) throw unreadable(url, `broke off after ${body.length} bytes`);
    const { etag } = answer;
    if (etag !== undefined && body.length <= Math.min(maxBytes, keptBytes)) {
      kept.set(url.href, { etag, bytes: body });
    } else kept.delete(url.href);
    return body;
  }

  async function follow(
    first: URL,
    headers: Readonly<Record<string, string>>,
    maxBytes: number,
    signal: AbortSignal,
  ): ReturnType<typeof sendRequest> {
    let url = first;
    for (let hops = 0; ; hops++) {
      signal.throwIfAborted();
      const reply = await sendRequest({
        url,
        method: "GET",
        headers,
        agent: agentFor(url),
        maxBytes,
        signal,
      }).catch((cause: unknown) => {
        signal.throwIfAborted();
        throw unreadable(first, describeFailure(cause), cause);
      });
      const next = reply.headers.location;
      if (reply.status < 300 || reply.status >= 400 || next === undefined || reply.status === 304)
        return reply;
      if (hops >= mostRedirects || !URL.canParse(next, url.href)) throw unreadable(first, "leads nowhere");
      url = new URL(next, url);
      if (url.protocol !== first.protocol && url.protocol !== "https:") {
        throw unreadable(first, "leads away from https");
      }
    }
  }

  return {
    async fetch(file, limits) {
      const bytes = await fetchFrom(new URL(file, folder), limits);
      if (bytes !== undefined) return bytes;
      let refusal: unknown;
      for (const mirror of limits.mirrors ?? []) {
        try {
          const found = await fetchFrom(new URL(mirror), limits);
          if (found !== undefined) return found;
        } catch (error) {
          limits.signal.throwIfAborted();
          refusal = error;
        }
      }
      if (refusal !== undefined) throw refusal;
      return undefined;
    },
  };
}

/** The address may hold a password or a token in its query, so only its file is shown. */
function unreadable(url: URL, what: string, cause?: unknown): KitError {
  return new KitError("delivery-unreadable", {
    where: `${url.origin}${url.pathname}`,
    message: `The delivery ${what}.`,
    cause,
  });
}
