import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { keepSecrets, readKeptSecrets } from "./kept-secrets.ts";
import { sealFor } from "./testing/sealed.ts";

test("what is kept is read again, byte for byte, is for its owner's eyes only, and holds no secret in clear", async (t) => {
  const file = join(temporaryFolder(t), "updater", "secrets");
  assert.equal(await readKeptSecrets(file), undefined);
  const sealed = sealFor(new Map([["mesh-key", "canary-9d2e"]]), 3);
  await keepSecrets(file, sealed);
  const kept = await readKeptSecrets(file);
  assert.deepEqual(kept && Buffer.from(kept.document), Buffer.from(sealed.document));
  assert.deepEqual(kept && Buffer.from(kept.signature), Buffer.from(sealed.signature));
  if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(file)).includes("canary-9d2e"));
});

test("a file that is damaged is no reason to begin anew", async (t) => {
  const file = join(temporaryFolder(t), "secrets");
  for (const damage of ["", "no", "AAAA\n{}\n"]) {
    await writeFile(file, damage);
    await assert.rejects(
      readKeptSecrets(file),
      (error) => error instanceof KitError && error.code === "updater-state-invalid" && error.where === file,
    );
  }
});
