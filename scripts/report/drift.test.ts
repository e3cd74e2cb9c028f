import assert from "node:assert/strict";
import { test } from "node:test";
import type { Documents } from "./check.ts";
import { reportDrift } from "./drift.ts";

const record = "cloudflare:index/dnsRecord:DnsRecord";
const server = "hcloud:index/server:Server";
const change = (type: string, certain = true) => ({
  op: "update",
  type,
  name: "n",
  properties: ["p"],
  certain,
});
const preview = (changes: readonly object[], types = [server, record]): string =>
  JSON.stringify({ ok: true, changes, types, warnings: [], outputs: {} });
const failed = (code: string, problems: readonly object[] = []): string =>
  JSON.stringify({ ok: false, error: { code, message: "No.", fix: "Mend.", problems } });
const verified = (status: string, detail = "d"): string =>
  JSON.stringify({
    ok: status === "passed",
    nodes: [{ name: "901a", region: "fsn", checks: [{ name: "healthz", status, detail }] }],
  });

const good: Documents = {
  preview: preview([]),
  plan: undefined,
  policy: JSON.stringify({ ok: true, changes: [] }),
  verify: verified("passed"),
};
const verdicts = (documents: Partial<Documents>) =>
  reportDrift({ ...good, ...documents }).map(({ title, verdict }) => `${title}: ${verdict}`);
const changed = (title: string, verdict: string): string[] =>
  ["Cloud", "DNS", "Policy", "Running version"].map(
    (each) => `${each}: ${each === title ? verdict : "as described"}`,
  );

test("four parts are judged, each by itself", () => {
  assert.deepEqual(verdicts({}), changed("", ""));
  assert.deepEqual(verdicts({ preview: preview([change(server)]) }), changed("Cloud", "drifted"));
  assert.deepEqual(verdicts({ preview: preview([change(record)]) }), changed("DNS", "drifted"));
  const policy = JSON.stringify({ ok: false, changes: [{ what: "region 901", words: "removed" }] });
  assert.deepEqual(verdicts({ policy }), changed("Policy", "drifted"));
  assert.deepEqual(verdicts({ verify: verified("failed") }), changed("Running version", "drifted"));
});

test("an edit by hand, which who compares refuses, is what was looked for", () => {
  const policy = failed("policy-conflict", [{ path: "policy:3:1", message: "was edited" }]);
  const [, , part] = reportDrift({ ...good, policy });
  assert.deepEqual([part?.verdict, part?.lines], ["drifted", ["policy:3:1: was edited"]]);
});

test("what failed, did not run or could not be tested was not asked, and is not taken for well", () => {
  const cloud = changed("Cloud", "not asked");
  assert.deepEqual(verdicts({ preview: failed("pulumi-failed") }), [
    cloud[0],
    "DNS: not asked",
    ...cloud.slice(2),
  ]);
  assert.deepEqual(verdicts({ policy: undefined }), changed("Policy", "not asked"));
  assert.deepEqual(verdicts({ policy: "{" }), changed("Policy", "not asked"));
  assert.deepEqual(verdicts({ verify: verified("untested") }), changed("Running version", "not asked"));
  assert.deepEqual(verdicts({ verify: failed("not-up-yet") }), changed("Running version", "not asked"));
});

test("what only the signing key can tell is no drift, and is said", () => {
  const [cloud] = reportDrift({
    ...good,
    preview: preview([change("aws:s3/bucketObjectv2:BucketObjectv2", false)]),
  });
  assert.deepEqual(
    [cloud?.verdict, cloud?.summary],
    ["as described", "as described; 1 resource not compared, as that takes the signing key"],
  );
});

test("a stack that makes no records has none to ask for", () => {
  const [, dns] = reportDrift({ ...good, preview: preview([], [server]) });
  assert.deepEqual(
    [dns?.verdict, dns?.summary],
    ["as described", "nothing to ask: the stack makes no records"],
  );
});
