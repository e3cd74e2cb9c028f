/** How the relay knows its own probes. */
import type { Endpoint } from "../client/dial.ts";
import type { Gate } from "../core/session-context.ts";
import { generatePrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { normaliseIp } from "../ip-address.ts";

export type Protocol = "tcp" | "udp";

interface Place {
  readonly protocol: Protocol;
  readonly address: string | undefined;
  readonly port: number;
  readonly until: number;
}

/** How late a listener may see a probe that has given up. */
const keptMs = 30_000;

/**
 * Who of all that come is the relay itself: by the local address and port that a probe is about to use, which nobody
 * else can come from, and at the login by a key that was made for this process and never leaves it.
 *
 * A stranger would have to be on this machine to show such an address: the system takes no packet from outside that
 * claims to come from one of its own.
 */
export class OwnProbes {
  readonly privateKey = generatePrivateKey();
  readonly #now: () => number;
  #places: readonly Place[] = [];

  /** @param now the relay's clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Says where a probe will come from, before it comes. */
  expect(protocol: Protocol, { address, port }: Endpoint): void {
    const now = this.#now();
    const place = { protocol, address: normaliseIp(address), port, until: now + keptMs };
    this.#places = [...this.#places.filter(({ until }) => until > now), place];
  }

  /**
   * Says that the listener has seen a probe for sure: from now on whoever comes from there is somebody else. Where a
   * probe came from that has given up is known for some time, for a listener that is behind sees it later.
   */
  forget(protocol: Protocol, { address, port }: Endpoint): void {
    this.#places = this.#places.filter((place) => !isAt(place, protocol, address, port));
  }

  /** True if who comes from this address and port is a probe of the relay's own. Cheap enough for each datagram. */
  recognise(protocol: Protocol, address: string | undefined, port: number | undefined): boolean {
    return this.#places.some(
      (place) => isAt(place, protocol, address ?? "", port) && place.until > this.#now(),
    );
  }

  /** Lets in whoever has the probes' key. */
  createGate(): Gate {
    const own = publicKeyOf(this.privateKey);
    return {
      ask: (key, _ip, decide) => {
        const deciding = setImmediate(() => decide(key.equals(own), this.#now()));
        return () => clearImmediate(deciding);
      },
    };
  }
}

/** The port tells almost everybody else apart, without a look at the text of an address. */
function isAt(place: Place, protocol: Protocol, address: string, port: number | undefined): boolean {
  return place.port === port && place.protocol === protocol && place.address === normaliseIp(address);
}
