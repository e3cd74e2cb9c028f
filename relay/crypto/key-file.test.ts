import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError } from "../errors.ts";
import { relayPrivate } from "../testing/vectors.ts";
import { parseKeyFile, renderKeyFile } from "./key-file.ts";

const hex = relayPrivate.toString("hex");

test("a key file is written as derper writes it and read back", () => {
  const text = renderKeyFile(relayPrivate);
  assert.equal(text, `{\n\t"PrivateKey": "privkey:${hex}"\n}`);
  assert.deepEqual(parseKeyFile(text, "x"), relayPrivate);
});

test("a key file is read with its names in any case, and anything but a private key is refused", () => {
  assert.deepEqual(parseKeyFile(`{"x":1,"privatekey":"privkey:${hex.toUpperCase()}"}`, "x"), relayPrivate);
  const wrong = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"PrivateKey":7}',
    `{"PrivateKey":"${hex}"}`,
    `{"PrivateKey":"nodekey:${hex}"}`,
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseKeyFile(text, "a/derper.key"),
      (error) =>
        error instanceof KitError && error.code === "key-file-invalid" && error.where === "a/derper.key",
      text,
    );
  }
});
