import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { readSettings } from "./settings.ts";

const env = {
  DERPKIT_STACK: "prod",
  DERPKIT_REGION: "fra",
  DERPKIT_NODE: "901a",
  DERPKIT_DELIVERY: "https://downloads.example.com/derpkit/fra",
};

test("settings are those of the environment, with the keys in their order", async (t) => {
  const folder = temporaryFolder(t);
  await writeFile(path.join(folder, "trusted-2.pem"), "two");
  await writeFile(path.join(folder, "trusted-1.pem"), "one");
  await writeFile(path.join(folder, "stage0.env"), "");
  const settings = await readSettings(env, folder);
  assert.deepEqual(
    { ...settings, delivery: settings.delivery.href },
    {
      stack: "prod",
      region: "fra",
      node: "901a",
      delivery: "https://downloads.example.com/derpkit/fra",
      trustedKeys: ["one", "two"],
    },
  );
});

test("settings that are not whole are named, each one", async (t) => {
  const folder = temporaryFolder(t);
  const broken = { ...env, DERPKIT_NODE: "", DERPKIT_DELIVERY: "ftp://a.example/" };
  await assert.rejects(readSettings(broken, folder), (error) => {
    assert.ok(error instanceof KitError);
    assert.deepEqual(
      error.problems?.map((problem) => problem.path),
      ["DERPKIT_NODE", "DERPKIT_DELIVERY"],
    );
    return true;
  });
});
