import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { environment } from "./environment.ts";

const relay = path.join(import.meta.dirname, "..");

test("every variable that the relay reads is described", () => {
  const described = new Set(environment.flatMap(({ name }) => name.split(", ")));
  const sources = globSync("**/*.ts", { cwd: relay }).filter(
    // What the updater of a machine reads is what stage 0 left for it, and nobody's to set.
    (file) => !/\.test\.ts$|testing|environment\.ts$|^agent\//.test(file),
  );
  const read = sources.flatMap((file) => {
    const text = readFileSync(path.join(relay, file), "utf8");
    const prefixed = text.match(/\b(?:TS|DERP|DERPKIT|TAILSCALE|SSL_CERT|HTTPS?|NO)_[A-Z_]+\b/g) ?? [];
    const indexed = [...text.matchAll(/env\["([A-Z_]+)"\]/g)].map(([, name = ""]) => name);
    return [...prefixed, ...indexed];
  });
  const known = described.add("DERPKIT_VERSION"); // Replaced by the bundler.
  assert.deepEqual(
    [...new Set(read)].filter((name) => !known.has(name)),
    [],
  );
});
