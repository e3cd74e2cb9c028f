import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { parseTrustedKeys, signManifest, verifyManifest } from "../../relay/updater/signature.ts";
import { loadSigningKey, signingKeyFile, trustedKeyOf } from "./signing-key.ts";

function openFile(t: TestContext): string {
  return signingKeyFile(temporaryFolder(t), "local");
}

test("the key is made at first use, for its owner's eyes only, and kept", async (t) => {
  const file = openFile(t);
  const key = await loadSigningKey(file);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok((await loadSigningKey(file)).equals(key));
  assert.deepEqual(await readdir(path.dirname(file)), ["signing.key"]);
});

test("programs that start at once agree on one key", async (t) => {
  const file = openFile(t);
  const [first, ...others] = await Promise.all(Array.from({ length: 8 }, () => loadSigningKey(file)));
  assert.ok(others.every((key) => first?.equals(key)));
});

test("what is given to nodes is the public half", async (t) => {
  const key = await loadSigningKey(openFile(t));
  const pem = trustedKeyOf(key);
  assert.match(pem, /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/]{59}=\n-----END PUBLIC KEY-----\n$/);
  const bytes = Buffer.from("manifest");
  verifyManifest(bytes, signManifest(bytes, key), parseTrustedKeys([pem]));
});

for (const [what, content] of [
  ["empty", ""],
  ["damaged", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHN\n-----END PRIVATE KEY-----\n"],
  [
    "of another kind",
    generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  ],
] as const) {
  test(`a key file that is ${what} is named, kept as it is, and not shown`, async (t) => {
    const file = openFile(t);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
    await assert.rejects(loadSigningKey(file), (error) => {
      assert.ok(error instanceof KitError && error.code === "signing-key-invalid" && error.where === file);
      assert.equal(error.cause, undefined);
      assert.doesNotMatch(error.message, /MC4C/);
      return true;
    });
    assert.equal(await readFile(file, "utf8"), content);
  });
}

test("a folder where no key can be kept is named", async (t) => {
  const file = openFile(t);
  await mkdir(path.dirname(path.dirname(file)), { recursive: true });
  await writeFile(path.dirname(file), "a file");
  await assert.rejects(loadSigningKey(file), { name: "KitError", code: "file-unreadable", where: file });
});
