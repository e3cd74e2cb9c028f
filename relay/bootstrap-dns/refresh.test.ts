import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { BootstrapDns } from "./bootstrap-dns.ts";
import { type RefreshOptions, startRefreshing } from "./refresh.ts";
import { type DnsServer, silent, startDnsServer } from "./testing/dns-server.ts";

const zones = {
  "a.example": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] },
  "b.example": { a: ["192.0.2.2"] },
  "secret.example": { a: ["192.0.2.3"] },
  "none.txt.example": { txt: [["0"]] },
};

interface Stage {
  readonly dns: DnsServer;
  readonly log: string[];
  readonly refreshing: AsyncDisposable;
  /** What everybody gets. */
  readonly published: () => unknown;
  /** What who asks for the name gets. */
  readonly unpublished: (name: string) => unknown;
}

/** Starts with timers that only move when they are told to. */
async function start(
  t: TestContext,
  [bootstrapDnsNames, unpublishedBootstrapDnsNames = ""]: readonly [string, string?],
  options: Partial<RefreshOptions> = {},
): Promise<Stage> {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const dns = await startDnsServer(t, zones);
  const bootstrapDns = new BootstrapDns(() => 0);
  const log: string[] = [];
  const refreshing = startRefreshing({
    config: { bootstrapDnsNames, unpublishedBootstrapDnsNames },
    bootstrapDns,
    random: () => 0.99,
    log: (line) => log.push(line),
    resolver: dns.resolver,
    ...options,
  });
  t.after(() => refreshing[Symbol.asyncDispose]());
  const ask = (question: string): unknown => JSON.parse(bootstrapDns.answer(question, "192.0.2.99") || "{}");
  return {
    dns,
    log,
    refreshing,
    published: () => ask(""),
    unpublished: (name) => ask(name),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

const has = (names: unknown, name: string): boolean => Object.hasOwn(Object(names), name);

test("names are looked up at the start, published and unpublished ones", async (t) => {
  const { published, unpublished, log } = await start(t, [
    "a.example,b.example",
    "secret.example,b.example/none.txt.example",
  ]);
  await until(() => has(published(), "a.example") && has(unpublished("secret.example"), "secret.example"));
  const all = { "a.example": ["192.0.2.1", "2001:db8::1"], "b.example": ["192.0.2.2"] };
  assert.deepEqual(published(), all);
  assert.deepEqual(unpublished("secret.example"), { "secret.example": ["192.0.2.3"] });
  assert.deepEqual(unpublished("b.example"), all);
  assert.deepEqual(log, []);
});

test("names are looked up every 10 minutes, and who fails then is left out until the next time", async (t) => {
  const { dns, published, log } = await start(t, ["a.example,b.example"]);
  await until(() => has(published(), "a.example"));
  await dns.settled();
  dns.zones.delete("a.example");
  dns.zones.set("b.example", { a: ["192.0.2.22"] });
  const before = dns.asked.length;
  t.mock.timers.tick(599_999);
  await dns.settled();
  assert.equal(dns.asked.length, before);

  t.mock.timers.tick(1);
  await until(() => !has(published(), "a.example"));
  assert.deepEqual(published(), { "b.example": ["192.0.2.22"] });
  assert.deepEqual(log, [
    'bootstrap DNS: no addresses of "a.example" (ENOTFOUND); left out until the next refresh',
  ]);
  await dns.settled();
  dns.zones.set("a.example", zones["a.example"]);
  t.mock.timers.tick(600_000);
  await until(() => has(published(), "a.example"));
});

test("a published name's percentage has no meaning", async (t) => {
  const { dns, published } = await start(t, ["a.example/none.txt.example"]);
  await until(() => has(published(), "a.example"));
  assert.ok(!dns.asked.some((question) => question.endsWith("txt")));
});

test("a refresh ends after a minute, and what has come until then counts", async (t) => {
  const { dns, published, log } = await start(t, ["a.example,slow.example,b.example"]);
  assert.deepEqual(published(), {});
  dns.zones.set("slow.example", silent);
  await until(() => dns.asked.length === 6);
  await dns.settled();
  t.mock.timers.tick(59_999);
  await dns.settled();
  assert.deepEqual(published(), {});
  t.mock.timers.tick(1);
  await until(() => has(published(), "a.example"));
  assert.deepEqual(Object.keys(Object(published())), ["a.example", "b.example"]);
  assert.match(log.join(), /"slow.example" \(TimeoutError\)/);
});

test("unpublished names are in no log line", async (t) => {
  const names = [
    "hidden.example",
    "secret.example/missing.txt.example",
    " hidden.example",
    "secret.example/x/y",
  ];
  const { unpublished, log } = await start(t, ["", names.join()]);
  await until(() => log.length === 4);
  assert.deepEqual(log.toSorted(), [
    "bootstrap DNS: no addresses of unpublished name 1 (ENOTFOUND); left out until the next refresh",
    "bootstrap DNS: no addresses of unpublished name 3 (EBADNAME); left out until the next refresh",
    "bootstrap DNS: no percentage of unpublished name 2 (ENOTFOUND); nobody gets it",
    "bootstrap DNS: no percentage of unpublished name 4 (EBADNAME); nobody gets it",
  ]);
  assert.deepEqual(unpublished("secret.example"), {});
});

test("a refresh that cannot even begin is logged, and tried again", async (t) => {
  const { dns, log } = await start(t, ["a.example"], { resolver: { servers: ["no address"] } });
  await until(() => log.length === 1);
  assert.deepEqual(log, ["bootstrap DNS: no refresh (ERR_INVALID_IP_ADDRESS)"]);
  await dns.settled();
  t.mock.timers.tick(600_000);
  await until(() => log.length === 2);
  assert.deepEqual(dns.asked, []);
});

test("stopping ends what is under way, says nothing and leaves no timer", async (t) => {
  const { dns, published, refreshing, log } = await start(t, ["slow.example,a.example", "slow.example"]);
  dns.zones.set("slow.example", silent);
  await until(() => dns.asked.length === 6);
  await refreshing[Symbol.asyncDispose]();
  assert.deepEqual([published(), log], [{}, []]);
  const before = dns.asked.length;
  t.mock.timers.tick(1_200_000);
  await dns.settled();
  assert.equal(dns.asked.length, before);
});

test("without names nothing is looked up", async (t) => {
  const { dns, refreshing, published } = await start(t, ["", ""]);
  await dns.settled();
  await refreshing[Symbol.asyncDispose]();
  assert.deepEqual([dns.asked, published()], [[], {}]);
});
