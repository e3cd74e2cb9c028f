import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { RelayFailure } from "../../relay/client/failure.ts";
import {
  CannotTest,
  CheckFailed,
  type CheckResult,
  createRunner,
  type Outcome,
  type RunCheck,
  type Seen,
} from "./check.ts";

const nothing: Outcome<Seen> = { status: "passed", seen: { detail: "" } };

function startRunner(t: TestContext, timeoutMs = 10_000): { run: RunCheck; results: CheckResult[] } {
  const results: CheckResult[] = [];
  return {
    run: createRunner({ timeoutMs, signal: t.signal, report: (result) => results.push(result) }),
    results,
  };
}

const fail = (error: Error) => (): never => {
  throw error;
};

test("each outcome is reported once, and ok means passed only", async (t) => {
  const { run, results } = startRunner(t);
  await run("ping", nothing, () => ({ detail: "seen" }));
  await run("packet", nothing, fail(new CheckFailed("wrong")));
  await run("server-key", nothing, fail(new RelayFailure("away")));
  await run("healthz", nothing, fail(new CannotTest("not from here")));
  assert.deepEqual(
    results.map(({ name, ok, status, detail }) => [name, ok, status, detail]),
    [
      ["ping", true, "passed", "seen"],
      ["packet", false, "failed", "wrong"],
      ["server-key", false, "failed", "away"],
      ["healthz", false, "untested", "not from here"],
    ],
  );
});

test("what builds on a check that did not pass is not tried, and the first of the chain is named", async (t) => {
  const { run, results } = startRunner(t);
  const tls = await run("tls-ipv4", nothing, fail(new CheckFailed("wrong")));
  const login = await run("derp-login-ipv4", tls, fail(new TypeError("must not run")));
  await run("packet", login, fail(new TypeError("must not run")));
  await run(
    "ping",
    await run("tls-ipv6", nothing, fail(new CannotTest("no route"))),
    fail(new TypeError("must not run")),
  );
  assert.deepEqual(
    results.map(({ name, status, detail }) => [name, status, detail]),
    [
      ["tls-ipv4", "failed", "wrong"],
      ["derp-login-ipv4", "failed", "not tried: tls-ipv4 failed"],
      ["packet", "failed", "not tried: tls-ipv4 failed"],
      ["tls-ipv6", "untested", "no route"],
      ["ping", "untested", "not tried: tls-ipv6 cannot be tested from here"],
    ],
  );
});

test("a bug of ours is no failed check", async (t) => {
  const { run } = startRunner(t);
  await assert.rejects(run("ping", nothing, fail(new TypeError("bug"))), TypeError);
});

test("a check that forgets its deadline is left behind", async (t) => {
  const { run, results } = startRunner(t, 1);
  await run("ping", nothing, () => new Promise<Seen>(() => {}));
  assert.deepEqual(
    results.map(({ status, detail }) => [status, detail]),
    [["failed", "gave up waiting for the end of this check"]],
  );
});

test("what a server said cannot move the cursor or fill the screen", async (t) => {
  const { run, results } = startRunner(t);
  await run("healthz", nothing, () => ({ detail: `\u001b[2Jversion\r\n\u202e${"x".repeat(10_000)}` }));
  assert.match(results[0]?.detail ?? "", /^\?\[2Jversion\?\?\?x{300,400}…$/);
});
