import assert from "node:assert/strict";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { renderNodeKey, renderShortKey } from "../crypto/keys.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { Admission, type Client } from "./admission.ts";
import { AllowList } from "./allow-list.ts";
import { LocalTailscaled } from "./local-tailscaled.ts";
import { createModeCounters } from "./cached-mode.ts";
import type { AdmissionMode, Applicant } from "./mode.ts";
import type { EndReason } from "./standing.ts";
import { TailnetApi } from "./tailnet-api.ts";
import { bench, type Bench, Oracle, settle } from "./testing/cast.ts";
import { applicant } from "./testing/applicants.ts";
import { type Answer, forever, reply, startServer, stopServer } from "../outbound/testing/servers.ts";
import { admits, allow, deny, unknown, type Verdict } from "./verdict.ts";
import { VerifyUrl } from "./verify-url.ts";

const recheckMs = 300_000;
const open: Verdict = { ...unknown("unreachable"), failOpen: true };

function build(clock: Bench, ...modes: AdmissionMode[]): Admission {
  return new Admission({ ...clock, modes, recheckMs, staleMs: 86_400_000 });
}

function client(mesh = false, source = "192.0.2.1"): Client {
  return { ...applicant(), source, mesh };
}

test("98. Given an IPv4 client on a dual-stack listener, then `Source` is dotted IPv4.", async (t) => {
  const server = await startServer(t, reply(200, '{"Allow":true}'));
  const admission = build(bench(), new VerifyUrl({ url: server.url, failOpen: false, env: {} }));
  for (const source of [
    "::ffff:192.0.2.7",
    "::ffff:c000:207",
    "192.0.2.7",
    "2001:DB8::0:7",
    "",
    "nonsense",
  ]) {
    await admission.admit(client(false, source), forever);
  }
  assert.deepEqual(
    server.received.map(({ body }) => (JSON.parse(body) as { Source: string }).Source),
    ["192.0.2.7", "192.0.2.7", "192.0.2.7", "2001:db8::7", "", ""],
  );
});

test("99. Given a valid mesh key, then no admission query at all.", async () => {
  const clock = bench();
  const oracle = new Oracle(deny("no"));
  const admission = build(clock, oracle);
  const peer = client(true);
  const verdict = await admission.admit(peer, forever);
  assert.ok(admits(verdict));
  admission.watch(peer, verdict, () => assert.fail("a mesh peer is never ended"));
  for (let i = 0; i < 10; i++) admission.tick((clock.time += recheckMs));
  await settle();
  assert.deepEqual([oracle.asked.length, admission.counters.watched], [0, 0]);
});

test("without a mode everybody is let in and nobody is asked about again", async () => {
  const admission = build(bench());
  const alice = client();
  assert.deepEqual(await admission.admit(alice, forever), allow);
  admission.watch(alice, allow, () => assert.fail("there is nobody to deny"));
  assert.deepEqual(admission.counters, { modes: {}, ended: { denied: 0, stale: 0 }, watched: 0 });
});

test("every mode has to allow, and a denial spares those after it", async () => {
  const [list, url] = [new Oracle(allow, "list"), new Oracle(allow, "url")];
  const admission = build(bench(), list, url);
  assert.ok(admits(await admission.admit(client(), forever)));
  url.verdict = deny("no");
  assert.deepEqual(await admission.admit(client(), forever), deny("no"));
  url.verdict = unknown("?");
  assert.ok(!admits(await admission.admit(client(), forever)));
  url.verdict = open;
  assert.ok(admits(await admission.admit(client(), forever)));
  assert.equal(url.asked.length, 4);
  list.verdict = deny("not on it");
  assert.deepEqual(await admission.admit(client(), forever), deny("not on it"));
  assert.equal(url.asked.length, 4);
  const { failures } = createModeCounters();
  assert.deepEqual(admission.counters.modes, {
    list: { ...createModeCounters(), queries: 5, allow: 4, deny: 1 },
    url: {
      ...createModeCounters(),
      queries: 4,
      allow: 1,
      deny: 1,
      unknown: 2,
      failures: { ...failures, error: 2 },
    },
  });
});

test("how old a list is, how long, and how often it could be read is told of those modes that have one", async () => {
  const clock = bench();
  const alice = client();
  let keys: ReadonlySet<string> | undefined;
  const fetchKeys = async (): Promise<ReadonlySet<string>> =>
    keys ?? Promise.reject(new Error("unreachable"));
  const api = new TailnetApi({ ...clock, fetchKeys, staleMs: 86_400_000 });
  const admission = build(clock, api, new Oracle(allow));
  const list = () => admission.counters.modes["tailnet-api"]?.list;
  assert.deepEqual(list(), { keys: 0, ageMs: undefined, reads: 0, failedReads: 0 });
  await admission.admit(alice, forever);
  assert.deepEqual(list(), { keys: 0, ageMs: undefined, reads: 1, failedReads: 1 });
  keys = new Set([alice.key.toString("hex"), "00"]);
  clock.time += 60_000;
  await admission.admit(alice, forever);
  clock.time += 25_000;
  assert.deepEqual(list(), { keys: 2, ageMs: 25_000, reads: 2, failedReads: 1 });
  assert.equal("list" in (admission.counters.modes["oracle"] ?? {}), false);
});

test("who is turned away or has to leave is logged with the reason, a flood of strangers is not", async () => {
  const clock = bench();
  const oracle = new Oracle(deny("the key is on no list"));
  const admission = build(clock, oracle);
  const alice = client();
  const name = renderShortKey(alice.key);
  await admission.admit(alice, forever);
  await admission.admit(client(), AbortSignal.abort());
  admission.watch(alice, allow, () => {});
  for (let times = 0; times < 2; times++) {
    admission.tick((clock.time += recheckMs * 1.1));
    await settle();
  }
  assert.deepEqual(clock.lines, [
    `client ${name} is not let in: the key is on no list`,
    `client ${name} has to leave: it was denied twice`,
  ]);
  clock.time += 100_000;
  for (let times = 0; times < 100; times++) await admission.admit(client(), forever);
  assert.equal(clock.lines.length, 12);
});

test("a mode that does not know hides no denial of the next one", async () => {
  const admission = build(bench(), new Oracle(unknown("?"), "list"), new Oracle(deny("no"), "url"));
  assert.deepEqual(await admission.admit(client(), forever), deny("no"));
});

test("a client that leaves waits no longer, and the answer is kept for when it comes back", async () => {
  const oracle = new Oracle();
  const admission = build(bench(), oracle);
  const alice = client();
  const leaving = new AbortController();
  const first = admission.admit(alice, leaving.signal);
  leaving.abort();
  assert.equal((await first).kind, "unknown");
  assert.equal((await admission.admit(alice, leaving.signal)).kind, "unknown");
  oracle.waiting[0]?.resolve(allow);
  assert.equal((await admission.admit(alice, forever)).kind, "allow");
  assert.equal(oracle.asked.length, 1);
});

test("stopping the relay ends the queries that are under way, and lets nobody in", async (t) => {
  const server = await startServer(t, () => admission[Symbol.dispose]());
  const clock = bench();
  const admission = build(clock, new VerifyUrl({ url: server.url, failOpen: true, env: {} }));
  assert.deepEqual(await admission.admit(client(), forever), unknown("the relay stops"));
  assert.deepEqual(clock.lines, []);
});

/** Passes checks on to another mode, and knows when all have ended. */
class Tracked implements AdmissionMode {
  readonly name: string;
  readonly #mode: AdmissionMode;
  readonly #checks: Promise<unknown>[] = [];

  constructor(mode: AdmissionMode) {
    this.name = mode.name;
    this.#mode = mode;
  }

  async check(asking: Applicant, signal: AbortSignal): Promise<Verdict> {
    const check = this.#mode.check(asking, signal);
    this.#checks.push(check);
    return check;
  }

  async done(): Promise<void> {
    await Promise.allSettled(this.#checks.splice(0));
    await settle();
  }
}

interface Stage {
  readonly ended: EndReason[];
  /** Whether a client comes in; its session then stays open. */
  readonly connects: (who: Client) => Promise<boolean>;
  /** Time in which every session is asked about, a suspect one twice. */
  readonly pass: () => Promise<void>;
}

function stage(clock: Bench, mode: AdmissionMode): Stage {
  const tracked = new Tracked(mode);
  const admission = build(clock, tracked);
  const ended: EndReason[] = [];
  return {
    ended,
    async connects(who) {
      const verdict = await admission.admit(who, forever);
      if (admits(verdict)) admission.watch(who, verdict, (reason) => ended.push(reason));
      return admits(verdict);
    },
    async pass() {
      for (let seconds = 0; seconds < 360; seconds += 10) {
        admission.tick((clock.time += 10_000));
        await tracked.done();
      }
    },
  };
}

test("a list that is emptied, half-written or gone ends no session, refuses new keys, and recovers by itself", async (t) => {
  const clock = bench();
  const [alice, bob] = [client(), client()];
  const file = path.join(temporaryFolder(t), "list");
  const write = (...members: Client[]): void =>
    writeFileSync(file, members.map(({ key }) => `${renderNodeKey(key)}\n`).join(""));
  const { ended, connects, pass } = stage(clock, new AllowList({ ...clock, file, staleMs: 86_400_000 }));
  write(alice);
  assert.ok(await connects(alice));
  for (const spoil of [
    () => truncateSync(file),
    () => write(alice),
    () => truncateSync(file, 50),
    () => rmSync(file),
  ]) {
    spoil();
    await pass();
    assert.deepEqual([await connects(bob), await connects(alice), ended], [false, true, []]);
  }
  write(alice, bob);
  clock.time += 5_000;
  assert.ok(await connects(bob));
  write(bob);
  await pass();
  assert.deepEqual(
    ended,
    Array.from({ length: 5 }, () => "denied"),
    "every session of alice's",
  );
});

test("an API that is down ends no session, refuses new keys, and recovers by itself", async () => {
  const clock = bench();
  const [alice, bob] = [client(), client()];
  let keys = new Set([alice.key.toString("hex")]);
  let down = false;
  const fetchKeys = async (): Promise<ReadonlySet<string>> => {
    if (down) throw new Error("unreachable");
    return keys;
  };
  const { ended, connects, pass } = stage(
    clock,
    new TailnetApi({ ...clock, fetchKeys, staleMs: 86_400_000 }),
  );
  assert.ok(await connects(alice));
  down = true;
  keys = new Set([bob.key.toString("hex")]);
  await pass();
  assert.deepEqual([await connects(bob), await connects(alice), ended], [false, true, []]);
  down = false;
  await pass();
  assert.ok(await connects(bob));
  assert.deepEqual(ended, ["denied", "denied"], "both of alice's sessions");
});

test("a tailscaled that restarts ends no session, refuses new keys, and recovers by itself", async (t) => {
  const clock = bench();
  const [alice, bob] = [client(), client()];
  const socketPath = path.join(temporaryFolder(t), "tailscaled.sock");
  const known = new Set([renderNodeKey(alice.key)]);
  let state = "Running";
  const answer: Answer = (response, { url }) => {
    const asked = new URL(url, "http://tailscaled").searchParams.get("addr");
    const found = state === "Running" && asked !== null && known.has(asked);
    response.writeHead(asked === null || found ? 200 : 404).end(JSON.stringify({ BackendState: state }));
  };
  const { server } = await startServer(t, answer, socketPath);
  const { ended, connects, pass } = stage(clock, new LocalTailscaled(socketPath));
  assert.ok(await connects(alice));
  known.add(renderNodeKey(bob.key));
  stopServer(server);
  await pass();
  assert.deepEqual([await connects(bob), ended], [false, []]);
  state = "Starting"; // It listens again and knows nobody yet.
  await startServer(t, answer, socketPath);
  await pass();
  assert.deepEqual([await connects(bob), ended], [false, []]);
  state = "Running";
  assert.ok(await connects(bob));
  known.delete(renderNodeKey(alice.key));
  await pass();
  assert.deepEqual(ended, ["denied"]);
});
