import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBootTime, parseLimit, parseVirtualBytes, readProcessFacts } from "./process-facts.ts";

test("facts of this process are plausible, and what Linux tells is there on Linux alone", () => {
  const facts = readProcessFacts("1.0.0");
  const since1970 = Date.now() / 1_000;
  assert.equal(facts.version, "1.0.0");
  assert.ok(Math.abs(facts.startTimeSeconds + facts.uptimeSeconds - since1970) < 60);
  assert.ok(facts.residentBytes > 1e6 && facts.cpuSeconds > 0);
  const { bootTimeSeconds, openFiles, maxOpenFiles, virtualBytes, maxVirtualBytes } = facts;
  const linux = [bootTimeSeconds, openFiles, maxOpenFiles, virtualBytes, maxVirtualBytes];
  if (process.platform !== "linux") {
    assert.deepEqual(linux, [undefined, undefined, undefined, undefined, undefined]);
    return;
  }
  assert.ok(linux.every((fact) => fact !== undefined && fact > 0));
  assert.ok((bootTimeSeconds ?? 0) < facts.startTimeSeconds);
  assert.ok((openFiles ?? 0) < (maxOpenFiles ?? 0));
  assert.ok((virtualBytes ?? 0) > facts.residentBytes);
});

test("limits are read by name, and unlimited is the largest number", () => {
  const limits = [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max open files            20000                30000                files     ",
    "Max address space         unlimited            unlimited            bytes     ",
  ].join("\n");
  assert.equal(parseLimit(limits, "open files"), 20_000);
  assert.equal(parseLimit(limits, "address space"), 2 ** 64 - 1);
  assert.equal(parseLimit(limits, "nice priority"), undefined);
  assert.equal(parseLimit(undefined, "open files"), undefined);
});

test("the boot time is the line btime", () => {
  assert.equal(parseBootTime("cpu  1 2 3\nctxt 5\nbtime 1795356015\nprocesses 7\n"), 1_795_356_015);
  assert.equal(parseBootTime("cpu  1 2 3\n"), undefined);
  assert.equal(parseBootTime(undefined), undefined);
});

test("the address space is found behind a program's name with spaces and brackets", () => {
  const fields = Array.from({ length: 50 }, (_, index) => `${index + 3}`);
  assert.equal(parseVirtualBytes(`1 (a (strange) name) ${fields.join(" ")}`), 23);
  assert.equal(parseVirtualBytes(undefined), undefined);
});
