/** A keeper's loop against a CA, a network and a machine of any temper: what holds whatever happens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decide, type Decision, type Setting, type StoredCertificate } from "./decision.ts";
import { type FailureKind, failureKinds, traitsOf } from "./failure-kinds.ts";
import { initialState, type KeeperState, parseState, renderState } from "./state.ts";
import {
  afterCheck,
  afterFailure,
  afterInterruption,
  afterRenewalInfo,
  afterRenewalInfoFailure,
  afterSuccess,
  beginFinalizing,
  beginOrder,
} from "./steps.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

/** What befalls one action; each action takes what concerns it. */
interface Fate {
  readonly order: "succeeds" | "is killed" | "is killed while it is finalized" | FailureKind;
  readonly lateFailure: boolean;
  readonly takesMs: number;
  readonly lifetimeMs: number;
  readonly backdatedMs: number;
  readonly retryAfterMs: number | undefined;
  readonly checkPasses: boolean;
  readonly advice: "none" | "fails" | "past" | "soon" | "late";
  readonly folderIsLost: boolean;
  readonly oversleptMs: number;
  readonly random: number;
}

const duration = (max: number) => fc.oneof(fc.integer({ min: 0, max: minute }), fc.integer({ min: 0, max }));
const fates: fc.Arbitrary<Fate> = fc.record({
  order: fc.oneof(
    fc.constantFrom("succeeds", "is killed", "is killed while it is finalized", "connection"),
    fc.constantFrom(...failureKinds),
  ),
  lateFailure: fc.boolean(),
  takesMs: duration(10 * minute),
  lifetimeMs: fc.oneof(duration(hour), fc.constantFrom(6 * day, 90 * day)),
  backdatedMs: duration(hour),
  retryAfterMs: fc.option(fc.integer({ min: -hour, max: 9 * day }), { nil: undefined }),
  checkPasses: fc.boolean(),
  advice: fc.constantFrom("none", "fails", "past", "soon", "late"),
  folderIsLost: fc.boolean(),
  oversleptMs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, duration(3 * day)),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

/** What the CA has seen, by its own clock. */
class Authority {
  readonly #orders: number[] = [];
  readonly #failed: number[] = [];
  readonly #issued: number[] = [];

  order(now: number): void {
    this.#orders.push(now);
    assert.ok(within(this.#orders, now, 3 * hour) <= 300, "300 orders in 3 hours");
  }

  failValidation(now: number): void {
    this.#failed.push(now);
    assert.ok(within(this.#failed, now, hour) <= 5, "5 failed validations in an hour");
  }

  issue(now: number, replaces: boolean): void {
    if (!replaces) this.#issued.push(now);
    assert.ok(within(this.#issued, now, 7 * day) <= 5, "5 certificates in 7 days");
  }
}

function within(times: readonly number[], now: number, window: number): number {
  return times.filter((at) => now - at < window).length;
}

class World {
  readonly production = new Authority();
  state: KeeperState = initialState("relay.example", "settings");
  stored: StoredCertificate | undefined;
  now = Date.parse("2026-01-01T00:00:00Z");
  orders = 0;
  #serial = 0;
  readonly #setting: Setting;

  constructor(staging: string | undefined) {
    this.#setting = { production: letsEncrypt, staging };
  }

  /** Decides, and lets happen what fate wants. @returns whether time has passed by waiting */
  step(fate: Fate): boolean {
    this.#restart();
    const decision = decide(this.state, this.stored, this.#setting, this.now);
    if (decision.kind === "wait") {
      assert.ok(decision.until > this.now && decision.until <= this.now + day, "a time within a day");
      assert.ok(Number.isSafeInteger(decision.next.at) && decision.next.why !== "");
      this.now = decision.until + fate.oversleptMs;
      if (fate.folderIsLost && fate.oversleptMs > hour) this.stored = undefined;
      return true;
    }
    if (decision.kind === "order") this.#order(decision, fate);
    else if (decision.kind === "ask-renewal-info") this.#advise(decision.certificate, fate);
    else this.state = afterCheck(this.state, fate.checkPasses ? undefined : "no way", this.now);
    return false;
  }

  /** What is on the disk is all that a process knows. */
  #restart(): void {
    const parsed = parseState(renderState(this.state), "relay.example");
    assert.ok("state" in parsed);
    const before = decide(this.state, this.stored, this.#setting, this.now);
    assert.deepEqual(decide(parsed.state, this.stored, this.#setting, this.now), before);
    this.state = parsed.state;
  }

  #advise(certificate: string, { advice, retryAfterMs, random }: Fate): void {
    const start = { none: 0, fails: 0, past: this.now - day, soon: this.now, late: this.now + 50 * day }[
      advice
    ];
    const window = advice === "none" ? undefined : { start, end: start + hour };
    this.state =
      advice === "fails"
        ? afterRenewalInfoFailure(this.state, certificate, this.now, random, retryAfterMs)
        : afterRenewalInfo(this.state, certificate, { window, retryAfterMs }, this.now, random);
  }

  #order(decision: Extract<Decision, { kind: "order" }>, fate: Fate): void {
    this.orders += 1;
    const ca = decision.directory === "production" ? this.production : new Authority();
    const { order, takesMs, random } = fate;
    this.state = beginOrder(this.state, decision, this.now);
    ca.order(this.now);
    this.now += takesMs;
    if (order === "is killed") {
      ca.failValidation(this.now);
      this.state = afterInterruption(this.state, this.now, random);
      return;
    }
    if (order !== "succeeds" && order !== "is killed while it is finalized" && !fate.lateFailure) {
      if (traitsOf(order).validation === true) ca.failValidation(this.now);
      this.#fail(order, fate);
      return;
    }
    this.state = beginFinalizing(this.state);
    const isIssued =
      order === "succeeds" ||
      order === "is killed while it is finalized" ||
      traitsOf(order).mayHaveIssued === true;
    if (isIssued) ca.issue(this.now, decision.replaces !== undefined);
    if (order === "succeeds") this.#succeed(decision, fate);
    else if (order === "is killed while it is finalized")
      this.state = afterInterruption(this.state, this.now, random);
    else this.#fail(order, fate);
  }

  #succeed({ directory }: Extract<Decision, { kind: "order" }>, { lifetimeMs, backdatedMs }: Fate): void {
    this.#serial += 1;
    const id = `certificate ${this.#serial}`;
    if (directory === "production")
      this.stored = { id, notBefore: this.now - backdatedMs, notAfter: this.now + lifetimeMs };
    this.state = afterSuccess(this.state, id, this.now);
  }

  #fail(kind: FailureKind, { retryAfterMs, random }: Fate): void {
    const failure = { kind, message: "It did not work.", retryAfterMs };
    const hasStaging = this.#setting.staging !== undefined;
    this.state = afterFailure(this.state, failure, hasStaging, this.now, random);
  }
}

const stagings = fc.constantFrom(undefined, "https://acme-staging-v02.api.letsencrypt.org/directory");

test("whatever happens, no limit of the CA is met, each wait ends, a restart changes nothing, and nothing spins", () => {
  fc.assert(
    fc.property(stagings, fc.array(fates, { minLength: 20, maxLength: 40 }), (staging, cycle) => {
      const world = new World(staging);
      let busy = 0;
      for (let step = 0; step < 400; step += 1) {
        busy = world.step(cycle[step % cycle.length] as Fate) ? 0 : busy + 1;
        assert.ok(busy < 12, "a few steps without a wait");
      }
    }),
    { numRuns: 150 },
  );
});

test("a CA that begins to work is asked within hours, whatever went before", () => {
  const good = { order: "succeeds", checkPasses: true, lifetimeMs: 90 * day, oversleptMs: 0 } as const;
  fc.assert(
    fc.property(stagings, fc.array(fates, { minLength: 20, maxLength: 60 }), (staging, past) => {
      const world = new World(staging);
      // Neither what a CA asks for nor certificates that were issued may hold it back here: those are days.
      for (const fate of past)
        world.step({
          ...fate,
          retryAfterMs: undefined,
          order: fate.lateFailure ? "connection" : "unreachable",
          lateFailure: false,
        });
      const since = world.now;
      for (const fate of [...past, ...past, ...past, ...past]) {
        if (world.stored !== undefined) break;
        world.step({ ...fate, ...good, retryAfterMs: undefined });
      }
      assert.ok(world.stored !== undefined && world.now - since <= 8 * hour);
    }),
    { numRuns: 150 },
  );
});

test("a private CA's certificates of some minutes are renewed in time, for days", () => {
  const world = new World(undefined);
  const fate: Fate = {
    order: "succeeds",
    lateFailure: false,
    takesMs: 1_000,
    lifetimeMs: 5 * minute,
    backdatedMs: minute,
    retryAfterMs: undefined,
    checkPasses: true,
    advice: "late",
    folderIsLost: false,
    oversleptMs: 0,
    random: 0.5,
  };
  const end = world.now + 2 * day;
  while (world.now < end) {
    world.step(fate);
    if (world.orders > 0) assert.ok(world.stored !== undefined && world.now < world.stored.notAfter);
  }
  assert.ok(world.orders > 900, `${world.orders}`);
});
