import assert from "node:assert/strict";
import { test } from "node:test";
import { createNotifier, type Notifier, type Sender } from "./notify.ts";

const pid = 4_711;

interface Told {
  readonly notifier: Notifier;
  /** What each sender was given, those that were lost first. */
  readonly sent: string[][];
  readonly addresses: string[];
  readonly log: string[];
  /** Milliseconds between feedings, and what is done then; empty without a watchdog. */
  readonly timers: { readonly ms: number; readonly action: () => void; stopped: boolean }[];
  /** Ends the sender that is there. */
  readonly lose: (why: string) => void;
}

function tell(env: Record<string, string | undefined>, refuse?: string): Told {
  const [sent, addresses, log]: [string[][], string[], string[]] = [[], [], []];
  const timers: Told["timers"] = [];
  let losing: ((why: string) => void) | undefined;
  const notifier = createNotifier(env, {
    pid,
    log: (line) => void log.push(line),
    startSender(address, lost): Sender {
      if (refuse !== undefined) throw new Error(refuse);
      addresses.push(address);
      losing = lost;
      const messages: string[] = [];
      sent.push(messages);
      return {
        send: (message) => void messages.push(message),
        [Symbol.dispose]: () => void messages.push("(end)"),
      };
    },
    repeat(ms, action) {
      const timer = { ms, action, stopped: false };
      timers.push(timer);
      return { [Symbol.dispose]: () => void (timer.stopped = true) };
    },
  });
  return { notifier, sent, addresses, log, timers, lose: (why) => losing?.(why) };
}

const socket = { NOTIFY_SOCKET: "/run/systemd/notify" };
const watched = { ...socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: `${pid}` };

test("where nobody listens nothing is started and nothing is said", () => {
  for (const env of [{}, { NOTIFY_SOCKET: "" }, { WATCHDOG_USEC: "30000000" }]) {
    const { notifier, sent, timers, log } = tell(env);
    notifier.ready("serves");
    notifier.stopping();
    notifier[Symbol.dispose]();
    assert.deepEqual([sent, timers, log], [[], [], []]);
  }
});

test("an address of another kind is said to be unknown, and nothing is started", () => {
  const { notifier, sent, log } = tell({ NOTIFY_SOCKET: "vsock:2:1" });
  notifier.ready("serves");
  assert.deepEqual(sent, []);
  assert.match(log.join(), /NOTIFY_SOCKET/);
});

test("the variables are gone afterwards, whoever they were for", () => {
  for (const env of [
    { PATH: "/bin", ...watched },
    { PATH: "/bin", ...watched, WATCHDOG_PID: "1" },
  ]) {
    tell(env);
    assert.deepEqual(env, { PATH: "/bin" });
  }
});

test("ready and stopping are said once each, through one sender that ends with the notifier", () => {
  const { notifier, sent, addresses } = tell({ ...socket });
  assert.deepEqual(sent, [], "nothing is started before there is something to say");
  notifier.ready("serves");
  notifier.stopping();
  notifier[Symbol.dispose]();
  assert.deepEqual(sent, [["READY=1\nSTATUS=serves", "STOPPING=1\nSTATUS=stopping", "(end)"]]);
  assert.deepEqual(addresses, ["/run/systemd/notify"]);
});

test("the watchdog is fed at a third of its time, from ready on until the end", () => {
  const { notifier, sent, timers } = tell({ ...watched });
  assert.equal(timers.length, 0);
  notifier.ready("serves");
  const [timer] = timers;
  assert.equal(timer?.ms, 10_000);
  timer.action();
  notifier.stopping();
  timer.action();
  assert.equal(timer.stopped, false);
  notifier[Symbol.dispose]();
  assert.equal(timer.stopped, true);
  assert.deepEqual(
    sent[0]?.map((message) => message.split("\n")[0]),
    ["READY=1", "WATCHDOG=1", "STOPPING=1", "WATCHDOG=1", "(end)"],
  );
});

test("a watchdog without WATCHDOG_PID is ours; one of another process, or without a time, is not", () => {
  const intervals = (more: Record<string, string | undefined>): number[] => {
    const { notifier, timers } = tell({ ...socket, ...more });
    notifier.ready("serves");
    return timers.map(({ ms }) => ms);
  };
  assert.deepEqual(intervals({ WATCHDOG_USEC: "3000000" }), [1_000]);
  assert.deepEqual(intervals({ WATCHDOG_USEC: "3000000", WATCHDOG_PID: "" }), [1_000]);
  assert.deepEqual(intervals({ WATCHDOG_USEC: "3000000", WATCHDOG_PID: "1" }), []);
  for (const time of [undefined, "", "0", "-1", "soon"])
    assert.deepEqual(intervals({ WATCHDOG_USEC: time }), []);
  assert.deepEqual(intervals({ WATCHDOG_USEC: "18446744073709551615" }), [2 ** 31 - 1]);
});

test("a sender that is lost is replaced at the next message, and the same reason is logged once", () => {
  const { notifier, sent, timers, log, lose } = tell({ ...watched });
  notifier.ready("serves");
  for (let round = 0; round < 3; round++) {
    lose("perl ended with SIGKILL");
    timers[0]?.action();
  }
  assert.deepEqual(sent, [["READY=1\nSTATUS=serves"], ["WATCHDOG=1"], ["WATCHDOG=1"], ["WATCHDOG=1"]]);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? "", /perl ended with SIGKILL/);
  lose("perl ended with status 2");
  assert.equal(log.length, 2);
});

test("a sender that cannot be started harms nobody, and is tried again", () => {
  const { notifier, timers, log } = tell({ ...watched }, "spawn perl ENOENT");
  notifier.ready("serves");
  timers[0]?.action();
  notifier.stopping();
  notifier[Symbol.dispose]();
  assert.equal(log.length, 1);
  assert.match(log[0] ?? "", /spawn perl ENOENT/);
});
