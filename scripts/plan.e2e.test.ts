import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type TestContext, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";

/** Runs the command in a project of its own, whose local stack has these regions. */
function plan(t: TestContext, regions: string, ...args: readonly string[]) {
  const cwd = temporaryFolder(t);
  writeFileSync(join(cwd, "Pulumi.yaml"), "name: derpkit\n");
  writeFileSync(join(cwd, "Pulumi.local.yaml"), `config:\n  derpkit:regions:\n${regions}`);
  const launcher = join(import.meta.dirname, "run.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, "plan", ...args], {
    cwd,
    encoding: "utf8",
  });
  return { status, stdout: stripVTControlCharacters(stdout), stderr };
}

const regions = `
    - {id: 902, code: bravo, name: Bravo, cloud: local, nodes: [{derpPort: 8443, stunPort: 3478}, {}]}
    - {id: 901, code: alfa, name: Alfa, cloud: local}
`;

test("a plan shows the resources as a tree, the nodes as a table and the derpMap", (t) => {
  const { status, stdout, stderr } = plan(t, regions);
  assert.equal(status, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /├─ derp-901 .*RelayRegion\n.*│ {2}└─ derp-901-901a .*RelayNode\n.*└─ derp-902 /);
  assert.match(stdout, /902a +bravo +902a\.derpkit\.internal +127\.0\.0\.1 +none +8443 +3478/);
  const map: unknown = JSON.parse(stdout.split("\nderpMap\n")[1] ?? "");
  assert.deepEqual(Object.keys(Object(map).Regions), ["901", "902"]);
});

test("with --json the plan is one document and nothing else", (t) => {
  const { status, stdout, stderr } = plan(t, regions, "--json");
  assert.equal(status, 0);
  assert.equal(stderr, "");
  const document: unknown = JSON.parse(stdout);
  const { resources, outputs, ok, ...rest } = Object(document);
  assert.deepEqual([resources.length, outputs.nodes.length, ok, rest], [7, 3, true, {}]);
  assert.deepEqual(Object.keys(outputs.derpMap.Regions), ["901", "902"]);
});

test("mistakes are listed on standard error, and nothing is planned", (t) => {
  const { status, stdout, stderr } = plan(t, "    - {id: 5, code: fra, name: Alfa, cloud: nowhere}\n");
  assert.deepEqual([status, stdout], [1, ""]);
  for (const key of ["id", "code", "cloud"])
    assert.match(stderr, new RegExp(`derpkit:regions\\[0\\]\\.${key}: is `));
});
