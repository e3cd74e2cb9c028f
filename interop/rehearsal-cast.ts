/** Who is on stage in a rehearsal. */
import type { TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { type DerpMap, regionsOf } from "../infra/derpmap/derp-map.ts";
import { eventually } from "./eventually.ts";
import { SteadyPackets } from "./steady-packets.ts";
import { startTailscaled, type Tailscaled } from "./tailscaled.ts";

/** Nobody may be without a path for longer. */
export const limitMs = 10_000;

/** Four clients of one tailnet: two exchange packets all the time, two do nothing unless they are told to. */
export class Cast implements AsyncDisposable {
  readonly busy: readonly Tailscaled[];
  readonly idle: readonly [Tailscaled, Tailscaled];
  readonly packets: SteadyPackets;
  /** When the idle ones last said something, as `performance.now()`. */
  #spokenAt = performance.now();

  private constructor(
    busy: readonly Tailscaled[],
    idle: readonly [Tailscaled, Tailscaled],
    packets: SteadyPackets,
  ) {
    this.busy = busy;
    this.idle = idle;
    this.packets = packets;
  }

  static async gather(t: TestContext, controlUrl: string): Promise<Cast> {
    const [alice, bob, cathy, dave] = await Promise.all([
      startTailscaled(t, "alice", controlUrl),
      startTailscaled(t, "bob", controlUrl),
      startTailscaled(t, "cathy", controlUrl),
      startTailscaled(t, "dave", controlUrl),
    ]);
    return new Cast([alice, bob], [cathy, dave], new SteadyPackets(alice, await bob.address()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.packets[Symbol.asyncDispose]();
  }

  get all(): readonly Tailscaled[] {
    return [...this.busy, ...this.idle];
  }

  /** Waits until a map has reached everybody. */
  async have(map: DerpMap): Promise<void> {
    const wanted = gist(map);
    await eventually("everybody has the map", async () => {
      const maps = await Promise.all(this.all.map((client) => client.derpMap()));
      return maps.every((each) => isDeepStrictEqual(gist(each), wanted));
    });
  }

  /** Waits until a region is the home of clients, by its code. @returns when it was seen to be, as `performance.now()` */
  async areAt(code: string, clients = this.all): Promise<number> {
    let seen: readonly string[] = [];
    await eventually(
      () => `homes are ${code}; they are ${seen.join()}`,
      async () => {
        seen = await Promise.all(clients.map((client) => client.home()));
        return seen.every((home) => home === code);
      },
    );
    return performance.now();
  }

  /** Has an idle one say something to the other. @returns after how many milliseconds it was heard */
  async speak(): Promise<number> {
    const [cathy, dave] = this.idle;
    const began = performance.now();
    const heard = await cathy.hearsFrom(dave, AbortSignal.timeout(limitMs));
    this.#spokenAt = performance.now();
    return heard - began;
  }

  /** Waits until the idle ones have nothing more to say to each other. */
  async fallSilent(): Promise<void> {
    await eventually("nobody says anything", () => performance.now() - this.#spokenAt > talkMs);
  }

  /**
   * Waits for a moment in which the idle ones have heard nothing from their relay for more than 8 s, by which Tailscale's
   * clients would take it for one that is in use, and are not about to.
   *
   * @param region where they are at home, by its id
   */
  async lieStill(region: number): Promise<void> {
    await eventually("nobody is about to hear a KeepAlive", () =>
      this.idle.every((client) => isBetweenKeepAlives(performance.now() - client.connectedAt(region))),
    );
  }
}

/** Clients that have said something go on with it for some time: they look for direct ways. */
const talkMs = 60_000;
/** A relay sends a KeepAlive each 60 to 65 s. A home is looked for within some seconds. */
const keepAliveMs = { min: 60_000, max: 65_000, before: 8_000, after: 10_000 };

/** @param age of a connection, in milliseconds */
function isBetweenKeepAlives(age: number): boolean {
  const { min, max, before, after } = keepAliveMs;
  const sure = Math.floor(age / max);
  return age > sure * max + after && age < (sure + 1) * min - before;
}

/** What of a map the phases change; clients leave out of the rest what is empty. */
function gist(map: DerpMap): unknown {
  return regionsOf(map).map(({ RegionID, RegionName, NoMeasureNoHome = false }) => {
    const score = map.HomeParams?.RegionScore?.[RegionID] ?? 1;
    return { RegionID, RegionName, NoMeasureNoHome, score };
  });
}
