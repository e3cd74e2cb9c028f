import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { buildManifest, encodeManifest } from "../../relay/updater/manifest.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { stage1 } from "./stage1.ts";

const file = (name: string, digit: string, mirrors?: string[]) => ({
  path: name,
  sha256: digit.repeat(64),
  size: 1,
  ...(mirrors === undefined ? {} : { mirrors }),
});

const manifest = encodeManifest(
  buildManifest(
    {
      stack: "prod",
      region: "fra",
      version: "0.1.0+0123456789ab",
      files: [
        file("relay.mjs", "1"),
        file("config/901a.json", "2"),
        file("updater.mjs", "3"),
        file("runtime-archive/bun-1.4.5-linux-x64.tgz", "4", [
          "https://a.example/x.tgz",
          "https://b.example/y.tgz",
        ]),
        file("stage1.sh", "5"),
      ],
      nodes: [{ name: "901a", files: ["config/901a.json", "relay.mjs"] }],
    },
    7,
  ),
);

test("the script is what a shell takes", () => {
  const { status, stderr } = spawnSync("sh", ["-n"], { input: stage1, encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("it finds a file's digest and mirrors in the manifest, and those of no other", (t) => {
  const place = path.join(temporaryFolder(t), "manifest.json");
  writeFileSync(place, manifest);
  const describe = /^describe\(\) [^]*?^\}$/m.exec(stage1)?.[0] ?? "";
  const ask = (name: string): string =>
    spawnSync("sh", ["-c", `manifest=$1\n${describe}\ndescribe "$2"`, "sh", place, name], {
      encoding: "utf8",
    }).stdout.trim();
  assert.equal(ask("updater.mjs"), "3".repeat(64));
  assert.equal(
    ask("runtime-archive/bun-1.4.5-linux-x64.tgz"),
    `${"4".repeat(64)} https://a.example/x.tgz https://b.example/y.tgz`,
  );
  assert.equal(ask("stage1.sh"), "5".repeat(64));
  assert.equal(ask("updater"), "");
  assert.equal(ask("missing"), "");
});
