import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { parseTrustedKeys, signManifest, verifyManifest } from "./signature.ts";
import { makeKeys } from "./testing/stage.ts";

const keys = makeKeys();
const trusted = parseTrustedKeys([keys.trusted]);
const manifest = Buffer.from('{\n  "format": 1\n}\n');
const signature = signManifest(manifest, keys.signing);
const refused = { name: "KitError", code: "manifest-signature" };

test("RFC 8032's test 2 gives the RFC's signature", () => {
  const pkcs8 = Buffer.from(
    "302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "hex",
  );
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const expected =
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
  assert.equal(
    signManifest(Buffer.from([0x72]), key).toString(),
    `${Buffer.from(expected, "hex").toString("base64")}\n`,
  );
});

test("a signature holds for its own bytes and for no others", () => {
  verifyManifest(manifest, signature, trusted);
  for (let at = 0; at < manifest.length; at += 1) {
    const other = Buffer.from(manifest);
    other.writeUInt8(manifest.readUInt8(at) ^ 1, at);
    assert.throws(() => verifyManifest(other, signature, trusted), refused);
  }
});

test("any of the trusted keys will do, and no other", () => {
  const next = makeKeys();
  const both = parseTrustedKeys([keys.trusted, next.trusted]);
  verifyManifest(manifest, signManifest(manifest, next.signing), both);
  verifyManifest(manifest, signature, both);
  assert.throws(() => verifyManifest(manifest, signManifest(manifest, makeKeys().signing), both), refused);
});

for (const [what, text] of [
  ["nothing", ""],
  ["no newline", signature.toString().trimEnd()],
  ["a line after it", `${signature.toString()}\n`],
  ["a space in it", ` ${signature.toString()}`],
  ["63 bytes", `${Buffer.alloc(63).toString("base64")}\n`],
  ["the bytes themselves", Buffer.from(signature.toString(), "base64").toString("latin1")],
] as const) {
  test(`a signature file with ${what} is refused`, () => {
    assert.throws(() => verifyManifest(manifest, Buffer.from(text, "latin1"), trusted), refused);
  });
}

for (const [what, pems] of [
  ["no key", []],
  ["three keys", [keys.trusted, keys.trusted, keys.trusted]],
  ["something else", ["MCowBQYDK2VwAyEA"]],
  ["a damaged key", [keys.trusted.replace("MCow", "MCox")]],
  ["a private key", [keys.signing.export({ type: "pkcs8", format: "pem" }).toString()]],
  [
    "a key of another kind",
    [
      createPublicKey(generateKeyPairSync("x25519").privateKey)
        .export({ type: "spki", format: "pem" })
        .toString(),
    ],
  ],
] as const) {
  test(`a node cannot be told to trust ${what}`, () => {
    assert.throws(
      () => parseTrustedKeys(pems),
      (error: Error) => {
        assert.ok(error instanceof KitError && error.code === "signing-key-invalid");
        assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /MC[4o]/, "no key is shown");
        return true;
      },
    );
  });
}

test("openssl agrees, with the commands that a shell script has", { skip: withoutOpenssl() }, (t) => {
  const folder = temporaryFolder(t);
  const write = (name: string, bytes: Uint8Array | string): void =>
    writeFileSync(path.join(folder, name), bytes);
  write("trusted.pem", keys.trusted);
  write("manifest.json", manifest);
  write("manifest.sig", signature);
  const check = (): string =>
    execFileSync(
      "sh",
      [
        "-ec",
        "base64 -d manifest.sig > signature\n" +
          "openssl pkeyutl -verify -pubin -inkey trusted.pem -rawin -in manifest.json -sigfile signature",
      ],
      { cwd: folder, encoding: "utf8", stdio: "pipe" },
    );
  assert.match(check(), /Verified Successfully/);
  write("manifest.json", `${manifest.toString()} `);
  assert.throws(check, { status: 1 });
});

/** Why openssl cannot be asked; false if it can. */
function withoutOpenssl(): string | false {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return false;
  } catch {
    return "there is no openssl on this machine";
  }
}
