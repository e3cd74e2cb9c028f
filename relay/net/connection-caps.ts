/**
 * How many connections there may be: in all, and of one source address before they are logged in.
 *
 * Offices and carriers put many clients behind one address, so one that is logged in no longer counts for its source; what
 * is left are those who knock and do not come in.
 */
import type { Socket } from "node:net";
import { decodeIp, encodeIp, unmapIp } from "../ip-address.ts";

export interface CapLimits {
  /** Connections in all. */
  readonly total: number;
  /** Connections of one source that are not logged in; 0 for no limit. */
  readonly waitingPerSource: number;
  /** Sources without a limit of their own: proxies, behind which all clients look alike, and relays of the mesh. */
  readonly exempt: (address: string) => boolean;
}

/** One connection's place among those that are counted. */
export class Place {
  readonly #caps: ConnectionCaps;
  /** The source that it counts for; undefined if it counts for none, or no longer. */
  #source: string | undefined;
  #here = true;

  constructor(caps: ConnectionCaps, source: string | undefined) {
    this.#caps = caps;
    this.#source = source;
  }

  /** It is logged in. May be called again. */
  settle(): void {
    if (this.#source !== undefined) this.#caps.settled(this.#source);
    this.#source = undefined;
  }

  /** It has ended. May be called again. */
  leave(): void {
    this.settle();
    if (this.#here) this.#caps.left();
    this.#here = false;
  }
}

export class ConnectionCaps {
  readonly #limits: CapLimits;
  #open = 0;
  /** By source: connections that are not logged in. */
  readonly #waiting = new Map<string, number>();
  /** Connections that were turned away, by the limit that did. */
  readonly refused = { total: 0, source: 0 };

  constructor(limits: CapLimits) {
    this.#limits = limits;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open;
  }

  /**
   * Counts a new connection.
   *
   * @param address as the socket says it
   * @returns undefined if it has to be closed at once
   */
  enter(address: string): Place | undefined {
    const { total, waitingPerSource, exempt } = this.#limits;
    if (this.#open >= total) {
      this.refused.total++;
      return undefined;
    }
    const source = waitingPerSource === 0 || exempt(address) ? undefined : sourceOf(address);
    if (source !== undefined && (this.#waiting.get(source) ?? 0) >= waitingPerSource) {
      this.refused.source++;
      return undefined;
    }
    this.#open++;
    if (source !== undefined) this.#count(source, 1);
    return new Place(this, source);
  }

  /** For `Place`: one of a source's connections waits no longer. */
  settled(source: string): void {
    this.#count(source, -1);
  }

  /** For `Place`: a connection has ended. */
  left(): void {
    this.#open--;
  }

  #count(source: string, change: number): void {
    const count = (this.#waiting.get(source) ?? 0) + change;
    if (count === 0) this.#waiting.delete(source);
    else this.#waiting.set(source, count);
  }
}

/** Counts a socket until it closes. @returns undefined for one that is over a limit; it is closed */
export function takePlace(socket: Socket, caps: ConnectionCaps): Place | undefined {
  const place = caps.enter(socket.remoteAddress ?? "");
  if (place === undefined) socket.destroy();
  else socket.on("close", () => place.leave());
  return place;
}

/** What counts as one source: an IPv4 address, or the 64 bits of an IPv6 address that a subscriber is given at least. */
export function sourceOf(address: string): string {
  const bytes = encodeIp(address);
  if (bytes === undefined) return address;
  const plain = unmapIp(bytes);
  if (plain.length === 4) return decodeIp(plain) ?? address;
  return `${decodeIp(Buffer.concat([plain.subarray(0, 8), Buffer.alloc(8)]))}/64`;
}
