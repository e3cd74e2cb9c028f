import assert from "node:assert/strict";
import test from "node:test";
import { KitError } from "../../relay/errors.ts";
import { cases } from "./cases.ts";
import {
  chooseCases,
  chooseServers,
  estimateRun,
  fullScale,
  parseRounds,
  planRuns,
  quickScale,
} from "./plan.ts";

const refuses = (read: () => unknown, named: RegExp): void => {
  assert.throws(
    read,
    (error) => error instanceof KitError && error.code === "usage" && named.test(error.fix),
  );
};

test("relays take turns, round by round", () => {
  const order = planRuns(["derper", "bun"], 2).map(({ round, server }) => `${round} ${server}`);
  assert.deepEqual(order, ["1 derper", "1 bun", "2 derper", "2 bun"]);
});

test("a name stands for its case, and a beginning for all that begin so, in the order of the list", () => {
  const names = (only: string): string[] => chooseCases(only).map(({ name }) => name);
  assert.deepEqual(names("idle"), ["idle"]);
  assert.deepEqual(names("latency,goodput"), ["goodput-128", "goodput-512", "latency"]);
  assert.deepEqual(names("cpu-10,cpu-10x64"), ["cpu-10x64", "cpu-10x1280"]);
  assert.equal(chooseCases(undefined), cases);
});

test("a name that is no case's beginning is refused, and the names are told", () => {
  for (const only of ["nothing", "", "idle,", "Idle", "idle,cpux"])
    refuses(() => chooseCases(only), /cpu-10x64/);
});

test("relays come in the order of their list, once each, and a stranger is refused", () => {
  assert.deepEqual(chooseServers("bun,derper"), ["derper", "bun"]);
  assert.deepEqual(chooseServers("node,node"), ["node"]);
  assert.deepEqual(chooseServers(undefined), ["derper", "node", "bun"]);
  for (const servers of ["deno", "", "node,", "Node"])
    refuses(() => chooseServers(servers), /derper, node, bun/);
});

test("rounds are a whole number from 1 to 99", () => {
  assert.equal(parseRounds(undefined), 3);
  assert.equal(parseRounds("1"), 1);
  assert.equal(parseRounds("99"), 99);
  for (const text of ["0", "100", "-1", "1.5", "three", "", " 3", "1e1"]) {
    refuses(() => parseRounds(text), /from 1 to 99/);
  }
});

test("a quick run of any case is shorter than a full one", () => {
  for (const { name, work } of cases) {
    const [quick, full] = [estimateRun(work, quickScale), estimateRun(work, fullScale)];
    assert.ok(quick > 0 && quick < full, name);
  }
});
