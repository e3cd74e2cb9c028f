import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { forever } from "../relay/outbound/testing/servers.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { command } from "./report.ts";
import { failureOf, runCommand } from "./testing/run-command.ts";

const node = {
  name: "901a",
  regionCode: "fsn",
  hostName: "901a.example.com",
  ipv4: "(known after up)",
  ipv6: "none",
};
const good = {
  preview: {
    ok: true,
    changes: [{ op: "create", type: "t:S", name: "n", properties: [], certain: true }],
    types: ["t:S"],
    warnings: ["mind this"],
    outputs: {},
  },
  policy: { ok: false, changes: [{ what: "region 901 fsn", words: "added" }] },
  plan: {
    ok: true,
    resources: [],
    outputs: { derpMap: { Regions: {} }, nodes: [node], dnsRecords: [], next: ["Do it."] },
  },
};

function lay(t: TestContext, documents: Readonly<Record<string, unknown>>) {
  const folder = temporaryFolder(t);
  for (const [name, document] of Object.entries(documents))
    writeFileSync(path.join(folder, `${name}.json`), JSON.stringify(document));
  const page = path.join(folder, "page.md");
  const args = ["--stack", "prod", "--from", folder, "--out", page];
  return { args, read: () => readFileSync(page, "utf8") };
}

test("check has preview, policy and plan on one page", async (t) => {
  const { args, read } = lay(t, good);
  const { status, document } = await runCommand(command, ["check", ...args], forever);
  assert.deepEqual([status, document], [0, { ok: true, failed: [] }]);
  const page = read();
  assert.match(
    page,
    /\| Preview \| 1 to create \|\n\| Policy \| 1 line of difference \|\n\| Plan \| 1 node: 901a \|/,
  );
  for (const line of ["create t:S n", "mind this", "region 901 fsn: added", "1. Do it."])
    assert.ok(page.includes(`\n${line}\n`), line);
  assert.match(page, /^901a in fsn: 901a\.example\.com, \(known after up\), none$/m);
});

test("what failed or is missing is said, by its name and why", async (t) => {
  const error = {
    code: "policy-conflict",
    message: "No.",
    fix: "Mend.",
    problems: [{ path: "p:1:1", message: "edited" }],
  };
  const { args, read } = lay(t, { ...good, policy: { ok: false, error }, plan: "cut off" });
  const { status, document } = await runCommand(command, ["check", ...args], forever);
  assert.deepEqual([status, document], [1, { ok: false, failed: ["Policy", "Plan"] }]);
  assert.match(read(), /^### Stack prod: Policy and Plan failed$/m);
  assert.match(read(), /No\. \[policy-conflict\]\n {2}p:1:1: edited\n {2}mend: Mend\./);
});

test("drift says in its title what drifted and what could not be asked", async (t) => {
  const { args, read } = lay(t, good);
  const { status, document } = await runCommand(command, ["drift", ...args], forever);
  assert.deepEqual(
    [status, document],
    [1, { ok: false, drifted: ["Cloud", "Policy"], unknown: ["Running version"] }],
  );
  assert.match(
    read(),
    /^<!-- derpkit drift prod -->\n### Stack prod: Cloud, Policy drifted; Running version could not be asked$/m,
  );
});

test("mistakes in the command line are named", async (t) => {
  const { args } = lay(t, {});
  for (const each of [
    args,
    ["both", ...args],
    ["check", "--stack", "prod"],
    ["check", ...args, "--stack", "a -->"],
  ]) {
    assert.match(await failureOf(runCommand(command, each, forever)), /\[usage\]/);
  }
});
