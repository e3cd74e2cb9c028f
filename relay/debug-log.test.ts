import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeKey, nodeKey, renderShortKey } from "./crypto/keys.ts";
import { createTrace } from "./debug-log.ts";
import { KitError } from "./errors.ts";
import { mapIp } from "./ip-address.ts";

const [alice, bob, cathy] = [1, 2, 3].map((byte) => nodeKey(Buffer.alloc(32, byte))) as [
  NodeKey,
  NodeKey,
  NodeKey,
];
const origin = { ip: mapIp(Buffer.from([192, 0, 2, 1])), port: 4_321, notIdeal: false };
const info = { version: 2, canAckPings: true, isProber: false, appName: "" };

function traceWith(env: Record<string, string>) {
  const lines: string[] = [];
  const clock = { now: 0 };
  const trace = createTrace({ env, log: (line) => void lines.push(line), now: () => clock.now });
  return { trace, lines, clock };
}

test("without derper's variables nobody is told of anything", () => {
  const { trace } = traceWith({ TS_DEBUG_VERBOSE_DROPS: "", DERP_DEBUG_LOGS: "false" });
  assert.deepEqual(trace, {});
});

test("drops to and from listed keys are logged; a key that is none is left out", () => {
  const { trace, lines } = traceWith({
    TS_DEBUG_VERBOSE_DROPS: `${bob.toString("hex").toUpperCase()},nokey,`,
  });
  assert.match(lines[0] ?? "", /"nokey" is no key/);
  trace.dropped?.("queue_head", alice, bob);
  trace.dropped?.("unknown_dest", bob, alice);
  trace.dropped?.("unknown_dest", alice, cathy);
  const [a, b] = [renderShortKey(alice), renderShortKey(bob)];
  assert.deepEqual(lines.slice(1), [`drop (${a}) queue_head -> ${b}`, `drop (${b}) unknown_dest -> ${a}`]);
  assert.equal(trace.client, undefined);
});

test("the same drop is logged five times at once and then every 30 s, and others for themselves", () => {
  const { trace, lines, clock } = traceWith({ TS_DEBUG_VERBOSE_DROPS: bob.toString("hex") });
  const drop = (times: number, source = alice): void => {
    for (let time = 0; time < times; time++) trace.dropped?.("queue_head", source, bob);
  };
  drop(9);
  assert.equal(lines.length, 5);
  drop(1, cathy);
  assert.equal(lines.length, 6);
  clock.now = 30_000;
  drop(9);
  assert.equal(lines.length, 7);
});

test("with DERP_DEBUG_LOGS each client is told of, with DERP_PROBER_DEBUG_LOGS each prober", () => {
  const all = traceWith({ DERP_DEBUG_LOGS: "1" });
  const client = all.trace.client?.(alice, info, origin);
  client?.registered(1);
  client?.frame(4, 37);
  client?.closed("end");
  all.trace.dropped?.("queue_head", alice, cathy);
  const name = `derp client 192.0.2.1:4321${renderShortKey(alice)}`;
  assert.deepEqual(all.lines, [
    `${name}: registered, connections of its key: 1`,
    `${name}: read frame type 4 len 37`,
    `${name}: closed: end`,
    `drop (${renderShortKey(alice)}) queue_head -> ${renderShortKey(cathy)}`,
  ]);
  const probers = traceWith({ DERP_PROBER_DEBUG_LOGS: "true" });
  assert.equal(probers.trace.client?.(alice, info, origin), undefined);
  probers.trace.client?.(bob, { ...info, isProber: true }, origin)?.registered(2);
  assert.match(probers.lines.join(), /registered as a prober, connections of its key: 2$/);
  assert.equal(probers.trace.dropped, undefined);
});

test("a switch that is no boolean ends the start, as with derper", () => {
  assert.throws(
    () => traceWith({ DERP_DEBUG_LOGS: "yes" }),
    (error) => error instanceof KitError && error.problems[0]?.path === "DERP_DEBUG_LOGS",
  );
});
