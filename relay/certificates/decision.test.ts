import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, type Decision, outlook, type Setting, type StoredCertificate } from "./decision.ts";
import type { FailureKind } from "./failure-kinds.ts";
import { initialState, type KeeperState } from "./state.ts";
import {
  afterCheck,
  afterFailure,
  afterInterruption,
  afterRenewalInfo,
  afterRenewalInfoFailure,
  afterSuccess,
  beginFinalizing,
  beginOrder,
  forSettings,
} from "./steps.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const begin = Date.parse("2026-06-01T00:00:00Z");

const production = "https://ca.example/directory";
const staging = "https://staging.example/directory";
const withStaging: Setting = { production, staging };
const alone: Setting = { production, staging: undefined };
const ninety: StoredCertificate = { id: "first", notBefore: begin, notAfter: begin + 90 * day };
const fresh = initialState("relay.example", "settings");

/** A keeper whose clock and luck are the test's; its ladder waits without jitter. */
class Keeper {
  state: KeeperState = fresh;
  stored: StoredCertificate | undefined;
  now = begin;
  readonly setting: Setting;

  constructor(setting = alone, stored?: StoredCertificate) {
    this.setting = setting;
    this.stored = stored;
  }

  decide(): Decision {
    return decide(this.state, this.stored, this.setting, this.now);
  }

  /** Waits until something is to be done; gives for how long. */
  wait(): number {
    const since = this.now;
    for (let decision = this.decide(); decision.kind === "wait"; decision = this.decide())
      this.now = decision.until;
    return this.now - since;
  }

  check(fault?: string): this {
    assert.equal(this.decide().kind, "check");
    this.state = afterCheck(this.state, fault, this.now);
    return this;
  }

  begin(): Extract<Decision, { kind: "order" }> {
    const decision = this.decide();
    assert.equal(decision.kind, "order");
    this.state = beginOrder(this.state, decision, this.now);
    return decision;
  }

  succeed(stored?: StoredCertificate): Extract<Decision, { kind: "order" }> {
    const decision = this.begin();
    this.stored = stored ?? this.stored;
    this.state = afterSuccess(beginFinalizing(this.state), this.stored?.id ?? "", this.now);
    return decision;
  }

  fail(kind: FailureKind, retryAfterMs?: number): Extract<Decision, { kind: "order" }> {
    const decision = this.begin();
    const failure = { kind, message: "It did not work.", retryAfterMs };
    const hasStaging = this.setting.staging !== undefined;
    this.state = afterFailure(this.state, failure, hasStaging, this.now, 0.5);
    return decision;
  }

  ask(window: { start: number; end: number } | undefined, retryAfterMs?: number): this {
    assert.equal(this.decide().kind, "ask-renewal-info");
    const id = this.stored?.id ?? "";
    this.state = afterRenewalInfo(this.state, id, { window, retryAfterMs }, this.now, 0.5);
    return this;
  }

  /** The way to an order as far as a check that passes. */
  ready(): this {
    this.wait();
    return this.check();
  }
}

test("without a certificate one is ordered at once, after a look at what the CA would see", () => {
  const keeper = new Keeper();
  assert.deepEqual(keeper.decide(), { kind: "check", why: "there is no certificate" });
  keeper.check();
  assert.deepEqual(keeper.decide(), {
    kind: "order",
    directory: "production",
    url: production,
    replaces: undefined,
    forced: false,
    advised: false,
    why: "there is no certificate",
  });
});

test("with one the next attempt is told with its reason, and waits are an hour at most", () => {
  const keeper = new Keeper(alone, ninety).ask(undefined);
  assert.deepEqual(keeper.decide(), {
    kind: "wait",
    until: begin + hour,
    next: { at: begin + 60 * day, why: "a third of the certificate's lifetime is left" },
  });
  assert.deepEqual(outlook(keeper.state, ninety, keeper.now), {
    due: begin + 60 * day,
    overdue: begin + 69 * day,
  });
  const six = new Keeper(alone, { ...ninety, notAfter: begin + 6 * day }).ask(undefined).decide();
  assert.deepEqual(six.kind === "wait" && six.next, {
    at: begin + 3 * day,
    why: "half of the certificate's lifetime is left",
  });
});

test("a certificate that begins in the future, for a clock that is behind, is kept until it is due", () => {
  const keeper = new Keeper(alone, ninety);
  keeper.now = begin - 365 * day;
  const decision = keeper.ask(undefined).decide();
  assert.equal(decision.kind === "wait" && decision.next.at, begin + 60 * day);
});

test("one that has ended is due, and the CA is not asked about it", () => {
  const keeper = new Keeper(alone, ninety);
  keeper.now = ninety.notAfter;
  assert.equal(keeper.decide().kind, "check");
});

test("what the CA advises counts if it is earlier, is picked once, and is asked for again as it says", () => {
  const window = { start: begin + 10 * day, end: begin + 12 * day };
  const keeper = new Keeper(alone, ninety).ask(window, 2 * hour);
  const picked = begin + 11 * day;
  const next = { at: picked, why: "the CA advises to renew the certificate" };
  assert.deepEqual(keeper.decide(), { kind: "wait", until: begin + hour, next });
  keeper.wait();
  assert.equal(keeper.now, begin + 2 * hour);
  keeper.state = afterRenewalInfo(keeper.state, "first", { window }, keeper.now, 0.9);
  assert.equal(keeper.state.renewalInfo?.picked, picked, "the same window, the same time");
  const other = { ...window, end: window.end + 1 };
  keeper.state = afterRenewalInfo(keeper.state, "first", { window: other }, keeper.now, 0.9);
  assert.notEqual(keeper.state.renewalInfo?.picked, picked);
  const late = { start: begin + 70 * day, end: begin + 80 * day };
  keeper.state = afterRenewalInfo(keeper.state, "first", { window: late }, keeper.now, 0.5);
  assert.equal(
    outlook(keeper.state, ninety, keeper.now).due,
    begin + 60 * day,
    "never later than its own days",
  );
});

test("a window in the past renews at once, naming what it replaces", () => {
  const keeper = new Keeper(alone, ninety).ask({ start: begin - 2 * day, end: begin - day });
  const order = keeper.check().begin();
  assert.deepEqual([order.replaces, order.advised], ["first", true]);
  assert.equal(outlook(keeper.state, ninety, keeper.now).overdue, begin + 9 * day, "overdue counts from now");
});

test("a CA that always wants its certificates back early gets that once in six hours", () => {
  const past = { start: begin - 2 * day, end: begin - day };
  const keeper = new Keeper(alone, ninety).ask(past).check();
  keeper.succeed({ ...ninety, id: "second" });
  keeper.ask(past);
  while (keeper.now < begin + 6 * hour - 1) {
    const decision = keeper.decide();
    assert.ok(decision.kind === "wait" || decision.kind === "ask-renewal-info", decision.kind);
    if (decision.kind === "wait") keeper.now = Math.min(decision.until, begin + 6 * hour - 1);
    else keeper.ask(past);
  }
  keeper.now += 1;
  assert.equal(keeper.check().begin().advised, true);
});

test("questions to the CA that fail go by the ladder, and what it said before stays", () => {
  const keeper = new Keeper(alone, ninety).ask({ start: begin + 10 * day, end: begin + 12 * day });
  const before = keeper.state.renewalInfo;
  const askAts = [1, 2, 3].map(() => {
    keeper.state = afterRenewalInfoFailure(keeper.state, "first", begin, 0.5);
    return ((keeper.state.renewalInfo?.askAt ?? 0) - begin) / minute;
  });
  assert.deepEqual(askAts, [1, 2, 5]);
  assert.equal(keeper.state.renewalInfo?.picked, before?.picked);
  const inverted = { start: 5, end: 4 };
  const state = afterRenewalInfo(keeper.state, "first", { window: inverted }, begin, 0.5);
  assert.equal(state.renewalInfo?.failures, 4, "a window that ends before it begins is no answer");
});

test("what the CA said of another certificate does not count", () => {
  const keeper = new Keeper(alone, ninety).ask({ start: begin - 2, end: begin - 1 });
  keeper.stored = { ...ninety, id: "put there by derper" };
  assert.equal(keeper.decide().kind, "ask-renewal-info");
});

test("one that is due is asked about once, so that the order can name it", () => {
  const keeper = new Keeper(alone, ninety);
  keeper.now = begin + 70 * day;
  keeper.state = afterRenewalInfoFailure(keeper.state, "first", keeper.now, 0.5);
  assert.equal(keeper.check().begin().replaces, undefined, "a question that failed keeps nothing back");
});

test("failures wait as the ladder says, and a success begins anew", () => {
  const keeper = new Keeper();
  const waits = Array.from({ length: 5 }, () => {
    keeper.ready().fail("unreachable");
    return keeper.wait() / minute;
  });
  assert.deepEqual(waits, [1, 2, 5, 10, 20]);
  keeper.check().succeed({ ...ninety, notBefore: keeper.now, notAfter: keeper.now + 90 * day });
  assert.deepEqual([keeper.state.failures, keeper.state.nextAttempt], [0, undefined]);
});

test("the next attempt is told with what failed", () => {
  const keeper = new Keeper().ready();
  keeper.fail("connection");
  const next = (): unknown => (keeper.decide() as { next?: unknown }).next;
  assert.deepEqual(next(), { at: begin + minute, why: "the last attempt failed (connection)" });
  keeper.ready().fail("unreachable");
  assert.deepEqual(next(), {
    at: keeper.now + 2 * minute,
    why: "the last 2 attempts failed, at last with unreachable",
  });
  assert.deepEqual(keeper.state.lastFailure, {
    kind: "unreachable",
    message: "It did not work.",
    at: keeper.now,
  });
});

test("what only a person can mend, and what the CA asks for, are lower bounds", () => {
  for (const kind of ["refused", "caa", "account", "profile", "method", "malformed"] as const) {
    const keeper = new Keeper().ready();
    keeper.fail(kind);
    assert.equal(keeper.wait(), 66 * minute, kind);
  }
  const limited = new Keeper().ready();
  limited.fail("rate-limited", 34 * hour);
  assert.ok(limited.wait() >= 34 * hour);
});

test("a certificate that is about to end, or has ended, shortens no wait", () => {
  const keeper = new Keeper(alone, { ...ninety, notAfter: begin + minute });
  keeper.now = begin + minute - second;
  keeper.ask(undefined).check().fail("refused");
  assert.equal(keeper.wait(), 66 * minute);
});

test("after a failure that staging would show, staging has to issue, and then production is asked at once", () => {
  const keeper = new Keeper(withStaging).ready();
  assert.equal(keeper.fail("connection").directory, "production");
  assert.deepEqual(
    [1, 2].map(() => keeper.ready().fail("dns").url),
    [staging, staging],
  );
  assert.equal(keeper.ready().succeed().directory, "staging");
  assert.equal(keeper.wait(), 0);
  assert.equal(keeper.begin().directory, "production");
  assert.equal(keeper.state.failures, 3, "the ladder goes on if it fails again");
});

test("without a staging CA production is asked again", () => {
  const keeper = new Keeper(alone).ready();
  keeper.fail("connection");
  assert.equal(keeper.ready().begin().directory, "production");
});

test("staging is not asked where it would not show what failed", () => {
  for (const kind of ["unreachable", "server", "rate-limited", "account", "storage", "replaced"] as const) {
    const keeper = new Keeper(withStaging).ready();
    keeper.fail(kind);
    assert.equal(keeper.ready().begin().directory, "production", kind);
  }
});

test("a staging CA that is down, or does not want us, keeps nobody from production", () => {
  for (const kind of ["unreachable", "server", "rate-limited", "account", "profile"] as const) {
    const keeper = new Keeper(withStaging).ready();
    keeper.fail("connection");
    assert.equal(keeper.ready().fail(kind).directory, "staging");
    assert.equal(keeper.ready().begin().directory, "production", kind);
  }
});

test("a certificate that the CA does not take as the replaced one is not named again", () => {
  for (const kind of ["replaced", "malformed"] as const) {
    const keeper = new Keeper(withStaging, ninety).ask({ start: begin - 2, end: begin - 1 });
    assert.equal(keeper.check().fail(kind).replaces, "first");
    assert.equal(keeper.wait(), minute, "nothing that a person has to mend");
    assert.equal(keeper.check().begin().replaces, undefined);
  }
});

test("a failure before any order counts as one, and as no order", () => {
  const keeper = new Keeper(withStaging);
  const failure = { kind: "storage", message: "The disk is full." } as const;
  keeper.state = afterFailure(keeper.state, failure, true, begin, 0.5);
  assert.deepEqual(keeper.state.attempts, []);
  assert.equal(keeper.wait(), minute);
});

test("a check that fails is repeated after 2 s, 5 s and each minute, and told with its reason", () => {
  const keeper = new Keeper();
  keeper.check("443 is closed");
  assert.deepEqual(keeper.decide(), {
    kind: "wait",
    until: begin + 2 * second,
    next: { at: begin + 2 * second, why: "the check before an order failed once: 443 is closed" },
  });
  assert.equal(keeper.wait(), 2 * second);
  assert.equal(keeper.check("443 is closed").wait(), 5 * second);
  keeper.check("443 is closed").fail("unreachable");
  keeper.wait();
  keeper.check("443 is closed");
  assert.equal(keeper.wait(), minute);
});

test("after three failed checks one order goes out, then one each six hours", () => {
  const keeper = new Keeper();
  const forced: number[] = [];
  while (keeper.now < begin + 13 * hour) {
    const { kind } = keeper.decide();
    if (kind === "order") {
      assert.equal(keeper.fail("unreachable").forced, true);
      forced.push(keeper.now - begin);
    } else if (kind === "check") keeper.check("no way");
    else keeper.wait();
  }
  assert.deepEqual(
    forced.map((at) => Math.round(at / minute)),
    [0, 360, 720],
  );
});

test("once a check passes the ladder alone counts", () => {
  const keeper = new Keeper();
  for (let failures = 0; failures < 3; failures += 1) keeper.check("no way").wait();
  assert.equal(keeper.fail("unreachable").forced, true);
  const order = keeper.ready().fail("unreachable");
  assert.equal(order.forced, false);
  assert.equal(order.why, "there is no certificate", "and no wait that is over");
  assert.equal(keeper.wait(), 2 * minute);
});

test("where a forced order succeeds the check is known to be wrong, and the next one is not kept back for hours", () => {
  const minutes = (id: string, now: number): StoredCertificate => ({
    id,
    notBefore: now,
    notAfter: now + 10 * minute,
  });
  const keeper = new Keeper();
  for (const id of ["a", "b", "c", "d"]) {
    for (let failures = 0; failures < 3; failures += 1) {
      keeper.wait();
      keeper.check("no hairpin");
    }
    assert.equal(keeper.succeed(minutes(id, keeper.now)).forced, true);
    keeper.ask(undefined);
    assert.equal(keeper.wait(), 5 * minute);
  }
});

test("a check that passed long ago is repeated before an order", () => {
  const keeper = new Keeper().check();
  assert.equal(keeper.decide().kind, "order");
  keeper.now += 2 * minute;
  assert.equal(keeper.decide().kind, "check");
});

test("the limits of the CA keep orders back, with the reason", () => {
  const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
  const keeper = new Keeper({ production: letsEncrypt, staging: undefined });
  for (let count = 0; count < 5; count += 1) {
    keeper.ready().succeed({ ...ninety, id: `${count}` });
    keeper.stored = undefined; // Somebody empties the folder.
    keeper.now += hour;
  }
  const decision = keeper.decide();
  assert.deepEqual(decision.kind === "wait" && decision.next, {
    at: begin + 7 * day,
    why: "5 certificates for relay.example were issued in the last 7 days; the CA's limit",
  });
});

test("an order that a process left counts as a failure, and against the limits", () => {
  const keeper = new Keeper(withStaging).ready();
  keeper.begin();
  const left = afterInterruption(keeper.state, begin + second, 0.5);
  assert.deepEqual(left.attempts, [
    { at: begin + second, directory: production, outcome: "invalid", replaces: false },
  ]);
  assert.deepEqual([left.failures, left.lastFailure?.kind, left.stagingFirst], [1, "interrupted", false]);
  assert.equal(left.nextAttempt, undefined, "the first time nothing is waited for");
  const twice = afterInterruption({ ...left, inFlight: keeper.state.inFlight }, begin + second, 0.5);
  assert.deepEqual([twice.failures, twice.nextAttempt?.at], [2, begin + second + 2 * minute]);
  const finalizing = afterInterruption(beginFinalizing(keeper.state), begin + second, 0.5);
  assert.equal(finalizing.attempts[0]?.outcome, "issued");
  assert.equal(afterInterruption(left, begin, 0.5), left, "and nothing else changes");
});

test("an order that is begun over one that was left forgets neither", () => {
  const keeper = new Keeper().ready();
  const order = keeper.begin();
  const state = beginOrder(keeper.state, order, begin + second);
  assert.deepEqual(
    state.attempts.map(({ outcome }) => outcome),
    ["invalid"],
  );
});

test("what ends after finalizing without an answer may have been issued", () => {
  for (const [kind, outcome] of [
    ["unreachable", "issued"],
    ["storage", "issued"],
    ["timeout", "issued"],
    ["caa", "ended"],
  ] as const) {
    const keeper = new Keeper().ready();
    keeper.begin();
    const finalizing = beginFinalizing(keeper.state);
    const state = afterFailure(finalizing, { kind, message: "" }, false, begin, 0.5);
    assert.equal(state.attempts[0]?.outcome, outcome, kind);
  }
});

test("with other settings the waits are over, and the limits are not", () => {
  const keeper = new Keeper(withStaging).ready();
  keeper.fail("connection");
  assert.equal(forSettings(keeper.state, "settings"), keeper.state);
  const state = forSettings(keeper.state, "mended");
  assert.deepEqual(
    [state.failures, state.nextAttempt, state.stagingFirst, state.settings],
    [0, undefined, false, "mended"],
  );
  assert.equal(state.attempts.length, 1);
});

test("a certificate that comes due is renewed at half of what was left, and one that comes ended in six hours", () => {
  for (const [left, wait] of [
    [10 * day, 5 * day],
    [10 * second, minute],
    [0, 6 * hour],
    [-day, 6 * hour],
  ] as const) {
    const keeper = new Keeper().ready();
    keeper.succeed({ id: "old", notBefore: begin - 80 * day, notAfter: begin + left });
    if (left > 0) keeper.ask(undefined);
    const decision = keeper.decide();
    assert.equal(decision.kind === "wait" && decision.next.at - begin, wait, `${left}`);
  }
});

test("a clock that is set back by much frees what waited, and what came then is judged by its own days", () => {
  const keeper = new Keeper().ready();
  keeper.fail("refused");
  keeper.now = begin - 365 * day;
  assert.equal(keeper.decide().kind, "check");
  const ahead = new Keeper();
  ahead.now = begin + 365 * day;
  ahead.check().succeed(ninety);
  ahead.now = begin;
  const decision = ahead.ask(undefined).decide();
  assert.equal(decision.kind === "wait" && decision.next.at, begin + 60 * day);
});

test("a CA's long message is cut, and a secret-free word stays", () => {
  const failure = { kind: "server", message: "x".repeat(1e6) } as const;
  const { lastFailure } = afterFailure(fresh, failure, false, begin, 0.5);
  assert.equal(lastFailure?.message.length, 2_000);
});
