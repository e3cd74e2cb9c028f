import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { isToken, readTokenDigest } from "./token.ts";

test("the file's one line is the token, and nothing else is", async (t) => {
  const file = join(temporaryFolder(t), "token");
  for (const end of ["", "\n", "\r\n"]) {
    writeFileSync(file, `0123456789abcdeF${end}`);
    const digest = await readTokenDigest(file);
    assert.equal(isToken("0123456789abcdeF", digest), true);
    for (const other of [
      "",
      "0123456789abcdef",
      "0123456789abcde",
      "0123456789abcdeFF",
      digest.toString("hex"),
    ])
      assert.equal(isToken(other, digest), false, other);
  }
});

test("a token that is short, none, or more than one is refused without being shown", async (t) => {
  const file = join(temporaryFolder(t), "token");
  for (const [content, message] of [
    ["hush-hush-hush-", /less than 16 characters/],
    ["", /less than 16 characters/],
    ["hush-hush-hush-hush\nhush-hush-hush-hush\n", /one line/],
    ["hush-hush hush-hush", /one line/],
    ["hush-hush-hush-hüsh", /one line/],
  ] as const) {
    writeFileSync(file, content);
    await assert.rejects(readTokenDigest(file), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /hush/);
      return true;
    });
  }
  await assert.rejects(readTokenDigest(join(file, "none")), { code: "ENOTDIR" });
});
