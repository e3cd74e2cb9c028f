import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import type { ObtainedSecrets } from "./obtain-secrets.ts";
import { SecretsWatch } from "./secrets-watch.ts";

const forever = new AbortController().signal;
const value = (text: string): ReadonlyMap<string, string> => new Map([["mesh-key", text]]);

/** A node whose unit wants one credential sealed; its relay takes up at a start what is there. */
function startWatch(names: readonly string[] = ["mesh-key"]) {
  const log: string[] = [];
  const node = {
    names,
    obtained: { held: undefined, refusal: undefined } as ObtainedSecrets,
    /** What the relay was started with. */
    running: value(""),
    restarts: 0,
    start: async (): Promise<void> => {
      node.running = node.obtained.held?.secrets ?? value("");
    },
  };
  const watch = new SecretsWatch({
    names: async () => node.names,
    obtain: async () => node.obtained,
    isInPlace: async (_, secrets) => secrets.get("mesh-key") === node.running.get("mesh-key"),
    restart: async () => {
      node.restarts += 1;
      await node.start();
    },
    log: (line) => void log.push(line),
  });
  const status = () => [watch.status.sequence, ...watch.status.refusals.map(({ code }) => code)];
  const seal = (sequence: number, text: string): void => {
    node.obtained = { held: { sequence, secrets: value(text) }, refusal: undefined };
  };
  return { node, watch, log, status, seal };
}

test("a relay that runs is started again for secrets that are new, once, and not for the same ones", async () => {
  const { node, watch, log, status, seal } = startWatch();
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [0, [undefined]]);
  seal(1, "first");
  await watch.round(true, forever);
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, node.running.get("mesh-key"), status()], [1, "first", [1]]);
  seal(2, "second");
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [2, [2]]);
  assert.ok(log.every((line) => !/first\b|second\b/.test(line)));
});

test("a new sequence with the same values restarts nothing", async () => {
  const { node, watch, status, seal } = startWatch();
  node.running = value("same");
  seal(4, "same");
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [0, [4]]);
});

test("a relay that does not run finds its secrets by itself when it is started", async () => {
  const { node, watch, seal } = startWatch();
  seal(1, "first");
  await watch.round(false, forever);
  assert.equal(node.restarts, 0);
  await node.start();
  await watch.round(true, forever);
  assert.equal(node.restarts, 0);
});

test("a relay that is not well with its new secrets is told of, and is not started again and again", async () => {
  const { node, watch, log, status, seal } = startWatch();
  node.start = () => Promise.reject(new KitError("relay-not-ready"));
  seal(1, "first");
  for (let round = 0; round < 3; round++) await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [1, [1, "relay-not-ready"]]);
  assert.equal(log.filter((line) => line.includes("relay-not-ready")).length, 1);
  node.start = async () => {};
  seal(2, "second");
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [2, [2, "relay-not-ready"]], "it has not taken them up");
});

test("what is refused is said by the status, and logged once", async () => {
  const { node, watch, log, status, seal } = startWatch();
  seal(1, "");
  const { held } = node.obtained;
  node.obtained = { held, refusal: new KitError("secrets-replayed") };
  for (let round = 0; round < 3; round++) await watch.round(true, forever);
  assert.deepEqual(status(), [1, "secrets-replayed"]);
  assert.equal(log.length, 1);
  node.obtained = { held, refusal: undefined };
  await watch.round(true, forever);
  assert.deepEqual(status(), [1]);
});

test("where secrets come by another way, nobody is asked", async () => {
  const { node, watch, status, seal } = startWatch([]);
  seal(1, "first");
  await watch.round(true, forever);
  assert.deepEqual([node.restarts, status()], [0, [undefined]]);
});
