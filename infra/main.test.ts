import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { parse } from "yaml";
import { fleetSchema } from "./config/schema.ts";
import { stackSecrets } from "./config/secrets.ts";

const root = join(import.meta.dirname, "..");
const projectText = readFileSync(join(root, "Pulumi.yaml"), "utf8");

test("an older Node.js gets the sentence that says what to do, as an error that Pulumi shows without a stack", () => {
  const older = 'Object.defineProperty(process.versions, "node", { value: "20.20.2" });';
  const program = `${older}
    await import("./infra/main.mjs").catch(({ message, __pulumiRunError }) => console.log(__pulumiRunError, message));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  assert.equal(
    stdout,
    "true derpkit needs Node.js 24 and this is 20.20.2. Run `npm run pulumi -- up`, which brings the pinned one, " +
      "or install Node.js 24 (https://nodejs.org).\n",
  );
});

test("the project names an entry that exists, runs the sources as they are, and declares no key that the engine would demand", () => {
  const project: Record<string, unknown> = parse(projectText);
  assert.equal(project["name"], "derpkit");
  assert.deepEqual(project["runtime"], {
    name: "nodejs",
    options: { packagemanager: "npm", typescript: false },
  });
  assert.equal(project["config"], undefined);
  assert.ok(existsSync(join(root, String(project["main"]))));
});

test("the project's comment names every key there is", () => {
  const named = [...projectText.matchAll(/^# {3}derpkit:(\w+)/gm)].map(([, key]) => key);
  assert.deepEqual(named, [...Object.keys(fleetSchema.entries), ...Object.keys(stackSecrets)]);
});

test("the entry exports what the program does, by the same names", () => {
  const exported = ["main.mjs", "index.ts"].map((file) => {
    const text = readFileSync(join(root, "infra", file), "utf8");
    return /export const \{ ([^}]+) \}/.exec(text)?.[1];
  });
  assert.ok(exported[0]?.includes("derpMap"));
  assert.equal(exported[0], exported[1]);
});
