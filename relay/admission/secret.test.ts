import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { readSecretFile } from "./secret.ts";

test("a secret is the one word in its file, and no message shows what is there instead", async (t) => {
  const file = path.join(temporaryFolder(t), "secret");
  writeFileSync(file, " tskey-client-x-y\n");
  assert.equal(await readSecretFile(file), "tskey-client-x-y");
  for (const text of ["", "\n", "two words", "two\nlines", "schlüssel"]) {
    writeFileSync(file, text);
    await assert.rejects(readSecretFile(file), {
      message: `${file} does not hold a secret: one word, nothing else`,
    });
  }
});
