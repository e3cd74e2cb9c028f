import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import nodeFs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type TestContext, test } from "node:test";
import { createAcmeClient } from "../acme/client.ts";
import { identify } from "../acme/identifier.ts";
import {
  type FakeCa,
  issueChain,
  problem,
  problemDocument,
  startFakeCa,
  today,
} from "../acme/testing/fake-ca.ts";
import { buildAgents } from "../outbound/http.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import type { PlannedCertificate } from "./acme-plan.ts";
import { Challenges } from "./challenges.ts";
import { type Keeper, startKeeper } from "./keeper.ts";
import { acquire } from "./lock.ts";
import type { SelfCheck } from "./self-check.ts";
import { openStore } from "./store.ts";
import { TestClock } from "./testing/test-clock.ts";

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
const name = "relay.example";
const agents = buildAgents({ env: {} });
const reached: SelfCheck = { reached: ["tls-alpn-01", "http-01"], fault: undefined };

interface Changes {
  readonly planned?: Partial<PlannedCertificate>;
  readonly staging?: FakeCa;
  readonly check?: () => SelfCheck;
  readonly fs?: typeof nodeFs;
}

/** A relay's folder, its clock and its CA; keepers come and go. */
class Stage {
  readonly ca: FakeCa;
  readonly folder: string;
  readonly clock = new TestClock(today);
  readonly log: string[] = [];
  readonly challenges = new Challenges();
  changes = 0;

  readonly #keepers: Keeper[] = [];

  constructor(t: TestContext, ca: FakeCa, folder?: string) {
    // Before the folder is removed, which they write to.
    t.after(() => Promise.all(this.#keepers.map((keeper) => keeper[Symbol.asyncDispose]())));
    this.ca = ca;
    this.folder = folder ?? temporaryFolder(t);
    ca.issue = (publicKey, names) => {
      const now = this.clock.now();
      return issueChain({
        publicKey,
        names,
        notBefore: now,
        notAfter: now + 90 * day,
        serial: randomBytes(8),
      });
    };
  }

  start({ planned = {}, staging, check = () => reached, fs }: Changes = {}): Keeper {
    const store = openStore(this.folder, identify(name), fs);
    const { clock, log, challenges, ca } = this;
    const keeper = startKeeper({
      planned: {
        identifiers: [identify(name)],
        profile: undefined,
        methods: ["tls-alpn-01", "http-01"],
        ...planned,
      },
      store,
      setting: { production: ca.directory.href, staging: staging?.directory.href },
      fingerprint: "",
      clientOf: async (which) =>
        createAcmeClient({
          directory: (which === "staging" ? staging : ca)?.directory ?? ca.directory,
          accountKey: await store.accountKey(),
          email: "",
          agents,
          userAgent: "derpkit/test",
          sleep: (_ms, signal) => clock.sleep(1, signal),
          now: () => clock.now(),
        }),
      challenges,
      check: async () => check(),
      clock,
      random: () => 0.5,
      log: (line) => void log.push(line.replace(`certificate of ${name}: `, "")),
      changed: () => void this.changes++,
    });
    this.#keepers.push(keeper);
    return keeper;
  }

  /** Orders that the CA was asked for. */
  get orders(): number {
    return this.ca.at("/order").length;
  }

  /** Waits until the keeper has nothing to do before a time to come. */
  async quiet(keeper: Keeper): Promise<void> {
    await until(() => (keeper.status.renewal?.next?.at ?? 0) > this.clock.now());
  }

  /** Lets time pass in steps, each to its end. */
  async pass(keeper: Keeper, ms: number, stepMs = minute): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.quiet(keeper);
      this.clock.advance(stepMs);
    }
    await this.quiet(keeper);
  }
}

async function setUp(t: TestContext): Promise<Stage> {
  return new Stage(t, await startFakeCa(t));
}

/** Nothing is proven by waiting: what does not come fails the test. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    assert.ok(turns < 5_000, "what a test waited for did not come");
    await sleep(2);
  }
}

/** When the certificate that is shown is to be renewed. */
function dueAt(keeper: Keeper): number {
  return keeper.status.renewal?.next?.at ?? 0;
}

function pick(keeper: Keeper): Record<string, unknown> {
  const { failures, lastFailure, issued, failed } = keeper.status.renewal ?? {};
  return { failures, last: lastFailure?.kind, issued, failed };
}

test("a relay without a certificate gets one, and has it after a restart without asking", async (t) => {
  const stage = await setUp(t);
  const keeper = stage.start();
  assert.equal((await keeper.first)?.chain, keeper.pair?.chain);
  await stage.quiet(keeper);
  assert.deepEqual([stage.orders, stage.changes], [1, 1]);
  assert.match(
    stage.log.join("\n"),
    /asking 127.0.0.1:\d+: there is no certificate\n.*\nproves .*\nshown from now on, valid until/,
  );
  assert.match(
    stage.log.at(-1) ?? "",
    /asked next at 2026-07-3.*: a third of the certificate's lifetime is left/,
  );
  await keeper[Symbol.asyncDispose]();
  const again = stage.start();
  assert.equal((await again.first)?.chain, keeper.pair?.chain);
  await stage.quiet(again);
  assert.equal(stage.orders, 1);
});

test("while the CA is down for an hour attempts become rarer, what is shown is shown still, and then it is renewed", async (t) => {
  const stage = await setUp(t);
  const keeper = stage.start();
  await keeper.first;
  await stage.quiet(keeper);
  const before = keeper.pair;
  const answer = stage.ca.answer.bind(stage.ca);
  stage.ca.answer = (response) => void response.socket?.destroy();
  stage.clock.advance(dueAt(keeper) - stage.clock.now());
  stage.log.length = 0;
  await stage.pass(keeper, hour);
  const asking = stage.log.filter((line) => line.startsWith("asking"));
  assert.equal(asking.length, 6, "at once, and after 1, 2, 5, 10 and 20 minutes");
  assert.equal(keeper.pair, before);
  assert.match(stage.log.join("\n"), /127\.0\.0\.1:\d+ .*What is shown is shown still\./);
  assert.match(
    stage.log.at(-1) ?? "",
    /asked next at .*: the last 6 attempts failed, at last with unreachable/,
  );
  assert.deepEqual(pick(keeper), { failures: 6, last: "unreachable", issued: 1, failed: 6 });
  stage.ca.answer = answer;
  await stage.pass(keeper, 30 * minute);
  assert.deepEqual([stage.orders, keeper.pair === before], [2, false]);
  assert.deepEqual(pick(keeper), { failures: 0, last: undefined, issued: 2, failed: 6 });
});

test("where TLS-ALPN-01 is not seen HTTP-01 is tried at once, and by none the failure says what to do", async (t) => {
  const stage = await setUp(t);
  const broken = (methods: readonly string[]): void => {
    stage.ca.validate = (_identifier, method) =>
      methods.includes(method) ? problemDocument("connection", `no way by ${method}`) : undefined;
  };
  broken(["tls-alpn-01"]);
  const keeper = stage.start();
  await keeper.first;
  assert.equal(stage.orders, 2);
  assert.match(stage.log.join("\n"), /no way by tls-alpn-01.*Trying http-01 now\./);
  await keeper[Symbol.asyncDispose]();

  rmSync(join(stage.folder, name));
  broken(["tls-alpn-01", "http-01"]);
  stage.log.length = 0;
  const again = stage.start();
  await stage.quiet(again);
  assert.match(stage.log.join("\n"), /no way by http-01.*80/);
  assert.deepEqual(pick(again), { failures: 1, last: "connection", issued: 0, failed: 1 });
});

test("an address that cannot be proven is left out, and the first one may not be", async (t) => {
  const stage = await setUp(t);
  stage.ca.validate = (identifier) =>
    identifier === "192.0.2.7" ? problemDocument("connection", "no way to it") : undefined;
  const identifiers = [identify(name), identify("192.0.2.7"), identify("192.0.2.8")] as const;
  const keeper = stage.start({ planned: { identifiers, methods: ["tls-alpn-01"] } });
  const pair = await keeper.first;
  assert.match(stage.log.join("\n"), /192\.0\.2\.7.*The certificate will be without it\./);
  const names = new X509Certificate(pair?.chain ?? "").subjectAltName;
  assert.deepEqual([names?.includes("192.0.2.7"), names?.includes("192.0.2.8")], [false, true]);
});

test("after a failed validation the staging CA is asked until it issues, and then production at once", async (t) => {
  const stage = await setUp(t);
  const staging = await startFakeCa(t);
  let isOpen = false;
  const validate = (): object | undefined => (isOpen ? undefined : problemDocument("dns", "no such name"));
  stage.ca.validate = validate;
  staging.validate = validate;
  const keeper = stage.start({ staging });
  await stage.quiet(keeper);
  const asked = (): number[] => [stage.orders, staging.at("/order").length];
  assert.deepEqual(asked(), [1, 0]);
  await stage.pass(keeper, minute);
  assert.deepEqual(asked(), [1, 1]);
  isOpen = true;
  await stage.pass(keeper, 2 * minute);
  assert.deepEqual(asked(), [2, 2]);
  assert.match(stage.log.join("\n"), /as a trial.*\n(.*\n)*the trial succeeded\nasking/);
  assert.ok(keeper.pair !== undefined);
});

test("a machine that does not find itself says why, and after three times asks the CA all the same", async (t) => {
  const stage = await setUp(t);
  const fault = "DNS has no address for relay.example";
  const keeper = stage.start({ check: () => ({ reached: [], fault }) });
  await stage.quiet(keeper);
  assert.match(
    stage.log.join("\n"),
    /there is no certificate, and this machine does not find itself: DNS has no address/,
  );
  stage.clock.advance(2 * second);
  await stage.quiet(keeper);
  assert.equal(stage.orders, 0);
  stage.clock.advance(5 * second);
  await keeper.first;
  assert.equal(stage.orders, 1);
  assert.match(
    stage.log.join("\n"),
    /the check before an order failed 3 times in a row, and is not always right/,
  );
});

test("of the ways by which this machine finds itself the first is tried first", async (t) => {
  const stage = await setUp(t);
  const keeper = stage.start({ check: () => ({ reached: ["http-01"], fault: "nothing answers at 443" }) });
  await keeper.first;
  assert.deepEqual(
    stage.ca.asked.filter(({ path }) => path.includes("challenge")).map(({ path }) => path),
    ["/challenge/0/http-01"],
  );
});

test("two keepers of one folder order once, and both show the certificate", async (t) => {
  const stage = await setUp(t);
  const keepers = [stage.start(), stage.start()];
  const [one, other] = await Promise.all(keepers.map(({ first }) => first));
  assert.equal(one?.chain, other?.chain);
  assert.equal(stage.orders, 1);
});

test("who waits for another process to let go of the folder says so", async (t) => {
  const stage = await setUp(t);
  const folder = openStore(stage.folder, identify(name)).files.lock;
  const lock = await acquire(folder, t.signal, stage.clock);
  const keeper = stage.start();
  await until(() => {
    stage.clock.advance(second);
    return stage.log.length > 0;
  });
  assert.deepEqual(stage.log, ["waiting for another process that looks after the same folder"]);
  await lock[Symbol.asyncDispose]();
  assert.ok(await keeper.first);
});

test("when the CA wants a renewal at once it is done once that is known, and names what it replaces", async (t) => {
  const stage = await setUp(t);
  const ahead = (days: number): string => new Date(today + days * day).toISOString();
  stage.ca.renewalInfo = { suggestedWindow: { start: ahead(50), end: ahead(52) } };
  const keeper = stage.start();
  await keeper.first;
  await stage.quiet(keeper);
  assert.match(
    stage.log.at(-1) ?? "",
    /asked next at 2026-07-22T.*: the CA advises to renew the certificate/,
  );
  stage.ca.renewalInfo = { suggestedWindow: { start: ahead(-2), end: ahead(-1) } };
  stage.clock.advance(5 * minute);
  await stage.quiet(keeper);
  assert.equal(stage.orders, 1, "it said when to ask again");
  keeper.wake();
  await until(() => stage.orders === 2);
  const { payload } = stage.ca.at("/order")[1] ?? {};
  assert.match(String(payload?.["replaces"]), /^[\w-]+\.[\w-]+$/);
});

test("without room for a certificate none is ordered, what is shown is shown still, and with room it is renewed", async (t) => {
  const stage = await setUp(t);
  let isFull = false;
  const fs: typeof nodeFs = {
    ...nodeFs,
    open: async (...args: Parameters<typeof nodeFs.open>) => {
      if (isFull && args[1] !== "r")
        throw Object.assign(new Error("no space left"), { syscall: "open", code: "ENOSPC" });
      return nodeFs.open(...args);
    },
  };
  const keeper = stage.start({ fs });
  await keeper.first;
  await stage.quiet(keeper);
  const before = keeper.pair;
  isFull = true;
  stage.clock.advance(dueAt(keeper) - stage.clock.now());
  await stage.quiet(keeper);
  assert.equal(stage.orders, 1);
  assert.equal(keeper.pair, before);
  assert.match(
    stage.log.join("\n"),
    /There is no room for a new certificate, so none is ordered\.[^]*What is shown is shown still/,
  );
  assert.equal(pick(keeper).last, "storage");
  isFull = false;
  await stage.pass(keeper, minute);
  assert.deepEqual([stage.orders, keeper.pair === before], [2, false]);
});

test("a certificate that cannot be stored is shown from memory, and stored once that can be", async (t) => {
  const stage = await setUp(t);
  let isFull = false;
  const fs: typeof nodeFs = {
    ...nodeFs,
    rename: async (from, to) => {
      if (isFull) throw Object.assign(new Error("no space left"), { syscall: "rename", code: "ENOSPC" });
      return nodeFs.rename(from, to);
    },
  };
  stage.ca.validate = () => void (isFull = true);
  const keeper = stage.start({ fs });
  const pair = await keeper.first;
  await stage.quiet(keeper);
  const file = join(stage.folder, name);
  assert.match(stage.log.join("\n"), /not stored, which is tried again: [^]*cannot be stored/);
  assert.equal(existsSync(file), false);
  isFull = false;
  stage.clock.advance(minute);
  await until(() => existsSync(file));
  assert.ok(readFileSync(file, "utf8").includes(pair?.chain.slice(0, 200) ?? "none"));
  assert.equal(stage.orders, 1);
});

test("a relay that is stopped while it orders begins again at the next start", async (t) => {
  const stage = await setUp(t);
  const stopped = Promise.withResolvers<void>();
  stage.ca.validate = () => {
    stopped.resolve();
    return undefined;
  };
  stage.ca.instead("/finalize/0", () => {}); // It never answers.
  const keeper = stage.start();
  await stopped.promise;
  await keeper[Symbol.asyncDispose]();
  assert.equal(await keeper.first, undefined);
  const again = stage.start();
  assert.ok(await again.first);
  assert.equal(stage.orders, 2);
});

test("what a trial directory has issued is shown, and replaced by the real one", async (t) => {
  const stage = await setUp(t);
  const trial = new Stage(t, await startFakeCa(t), stage.folder);
  const first = trial.start();
  const pair = await first.first;
  await trial.quiet(first);
  await first[Symbol.asyncDispose]();
  const keeper = stage.start();
  assert.equal((await keeper.first)?.chain, pair?.chain);
  await until(() => stage.changes === 2);
  assert.equal(stage.orders, 1);
});

test("a proof is there while the CA may look, and gone afterwards", async (t) => {
  const stage = await setUp(t);
  const seen: (string | undefined)[] = [];
  stage.ca.methods = ["tls-alpn-01"];
  stage.ca.validate = (identifier) => {
    seen.push(stage.challenges.tls(identifier)?.chain);
    return undefined;
  };
  const keeper = stage.start();
  await keeper.first;
  assert.match(String(seen), /BEGIN CERTIFICATE/);
  assert.equal(stage.challenges.tls(name), undefined);
});

test("a name that the CA refuses is tried again after an hour at the earliest", async (t) => {
  const stage = await setUp(t);
  stage.ca.instead("/order", problem(403, "rejectedIdentifier", "policy forbids it"));
  const keeper = stage.start();
  await stage.quiet(keeper);
  assert.match(stage.log.join("\n"), /relay\.example.*policy forbids it/);
  assert.ok((keeper.status.renewal?.next?.at ?? 0) >= today + hour);
});
