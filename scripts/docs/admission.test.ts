import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { options, parseFlags } from "../../relay/config/flags.ts";
import { parseRelayConfig } from "../../relay/config/load.ts";
import { metrics } from "../../relay/telemetry/metrics.ts";

const root = path.join(import.meta.dirname, "../..");
const page = readFileSync(path.join(root, "docs/admission.md"), "utf8");

test("each command and each file on the page about admission is a configuration of the relay", () => {
  const commands = [...page.matchAll(/^ {4}node relay\.mjs (.+)$/gm)].map(([, args = ""]) => args.split(" "));
  const files = [...page.matchAll(/^```json\n([^]+?)^```$/gm)].map(([, text = ""]) => text);
  assert.deepEqual([commands.length, files.length], [4, 4]);
  for (const args of commands) parseRelayConfig(undefined, parseFlags(args, root).options);
  for (const text of files) parseRelayConfig(text, {});
});

test("each flag and each metric on the page about admission exists", () => {
  const flags = [...page.matchAll(/`-([a-z][a-z-]+)/g)].map(([, flag]) => flag);
  const known = new Set(options.map(({ flag }) => flag));
  assert.deepEqual(
    [...new Set(flags)].filter((flag) => flag === undefined || !known.has(flag)),
    [],
  );
  const named = [...page.matchAll(/derpkit_[a-z_]+/g)].map(([name]) => name);
  const exported = new Set(metrics.map(({ name }) => name));
  assert.deepEqual(
    [...new Set(named)].filter((name) => !exported.has(name)),
    [],
  );
  assert.ok(flags.length > 10 && named.length > 5);
});
