/**
 * Whether the statements' tests would notice: copies of the project, each with one mistake in the relay, have to fail the
 * statements that speak of it, on Node alone. The copy without a mistake passes the same tests.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { describe, test, type TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { parseReport, type TestResult } from "../scripts/conformance/results.ts";
import { statementGroups } from "../scripts/conformance/statements.ts";
import { type SeededFault, seededFaults } from "./seeded-faults.ts";

const timeoutMs = 170_000;
const root = path.join(import.meta.dirname, "..");
const copied = ["interop", "infra", "relay", "scripts", "package.json"];

/** Runs the tests of statements in a copy, on Node alone. @returns those that ran */
async function runTests(project: string, faults: readonly SeededFault[]): Promise<readonly TestResult[]> {
  const statements = faults.flatMap((fault) => fault.statements);
  const files = new Set(faults.map((fault) => `interop/conformance/${fault.tests}`));
  const args = [
    "--test",
    "--test-reporter=./scripts/conformance/reporter.ts",
    "--test-timeout=60000",
    `--test-name-pattern=^(?:${statements.join("|")})\\. `,
    ...files,
  ];
  // Neither derper nor Bun, and no word to the runner that this test is part of.
  const { DERPKIT_BUN: _bun, NODE_TEST_CONTEXT: _context, ...own } = process.env;
  const env = { ...own, DERPKIT_TAILNET_CHECK: path.join(project, "none"), PATH: "/usr/bin:/bin" };
  const tests = spawn(process.execPath, args, { cwd: project, env, stdio: ["ignore", "pipe", "inherit"] });
  const [report] = await Promise.all([text(tests.stdout), once(tests, "exit")]);
  return parseReport(report).filter(({ skip }) => skip === undefined);
}

async function copyProject(t: TestContext): Promise<string> {
  const project = temporaryFolder(t);
  for (const name of copied) {
    await cp(path.join(root, name), path.join(project, name), { recursive: true });
  }
  await symlink(path.join(root, "node_modules"), path.join(project, "node_modules"));
  return project;
}

async function sow(project: string, { file, find, replace }: SeededFault): Promise<void> {
  const source = await readFile(path.join(project, file), "utf8");
  assert.equal(source.split(find).length, 2, `${file} has ${JSON.stringify(find)} exactly once`);
  await writeFile(
    path.join(project, file),
    source.replace(find, () => replace),
  );
}

/** What a test throws when a relay says something else, nothing (RelayFailure), or goodbye (Ended). */
const expectations = new Set(["AssertionError", "RelayFailure", "Ended"]);

const failures = (results: readonly TestResult[]): TestResult[] =>
  results.filter(({ passed, todo }) => !passed && todo === undefined);

test("each group of statements has a fault", () => {
  assert.deepEqual(
    Object.keys(seededFaults),
    statementGroups.map(([, name]) => name),
  );
});

const all = Object.entries(seededFaults).flatMap(([group, faults]) =>
  faults.map((fault) => ({ group, ...fault })),
);

test("in a copy without a fault the statements hold", { timeout: timeoutMs }, async (t) => {
  const results = await runTests(await copyProject(t), all);
  const held = new Set(results.map(({ names }) => Number.parseInt(names[0] ?? "", 10)));
  assert.deepEqual(held, new Set(all.flatMap(({ statements }) => statements)));
  assert.deepEqual(failures(results), []);
});

describe("a fault is found", { concurrency: availableParallelism(), timeout: timeoutMs }, () => {
  for (const fault of all) {
    test(`${fault.group}: ${fault.what}`, { timeout: timeoutMs }, async (t) => {
      const project = await copyProject(t);
      await sow(project, fault);
      const results = await runTests(project, [fault]);
      for (const number of fault.statements) {
        const own = failures(results).filter(({ names }) => names[0]?.startsWith(`${number}. `));
        assert.ok(own.length > 0, `statement ${number} holds all the same`);
        // The relay ran, and did otherwise than the statement says.
        for (const { fault: thrown } of own) assert.ok(expectations.has(thrown?.name ?? ""), thrown?.message);
      }
    });
  }
});
