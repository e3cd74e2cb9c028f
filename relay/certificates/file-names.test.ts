import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { identify } from "../acme/identifier.ts";
import { fileNames } from "./file-names.ts";

const folder = path.resolve("certs");
const within = (...names: string[]): string => path.join(folder, ...names);
const names = (name: string) => fileNames(folder, identify(name));

test("a DNS name has autocert's files", () => {
  const { certificate, accountKey, state, lock } = names("Relay.Example");
  const file = within("relay.example");
  assert.deepEqual(certificate, { layout: "one-file", file, rsa: `${file}+rsa` });
  assert.equal(accountKey, within("acme_account+key"));
  assert.deepEqual(
    [state, lock],
    [within("derpkit", "relay.example.json"), within("derpkit", "relay.example.lock")],
  );
});

test("an address has those of derper's IP certificates, without colons", () => {
  for (const [address, name] of [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001.db8..1"],
    ["2001:0DB8:0:0:0:0:0:1", "2001.db8..1"],
    ["::", ".."],
  ] as const) {
    const { certificate, accountKey, state } = names(address);
    assert.deepEqual(certificate, {
      layout: "two-files",
      crt: within(`${name}.crt`),
      key: within(`${name}.key`),
    });
    assert.deepEqual([accountKey, state], [within("acme-account.key"), within("derpkit", `${name}.json`)]);
  }
});

test("what is no DNS name, or another file's, is refused", () => {
  const noNames = [
    "",
    ".",
    "..",
    "/",
    "a/b",
    "a\\b",
    "../a",
    "a..b",
    ".a",
    "a.",
    "a b",
    "a\0b",
    "a+rsa",
    "é",
    "*.a",
  ];
  const taken = ["derpkit", "DERPKIT", "acme-account.key", "192.0.2.1.crt", "relay.key"];
  const addresses = ["1.2.3.4.5.6.7.8", "relay.1", "7"];
  for (const name of [...noNames, ...taken, ...addresses, "a".repeat(201)]) {
    const shown = { code: "certificate-invalid" };
    assert.throws(() => fileNames(folder, { type: "dns", value: name.toLowerCase() }), shown, name);
  }
});

test("whatever a name, no file of it is outside the folder, and no two names share one", () => {
  const name = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6(),
    fc.string(),
    fc.stringMatching(/^[.\w/:-]{1,12}$/),
  );
  const filesOf = (text: string): string[] => {
    try {
      const { certificate: pair, state, lock, journal, draft, probe } = names(text);
      const certificate = pair.layout === "one-file" ? [pair.file, pair.rsa] : [pair.crt, pair.key];
      return [...certificate, state, lock, journal, draft, probe];
    } catch {
      return [];
    }
  };
  fc.assert(
    fc.property(name, name, (one, other) => {
      for (const file of filesOf(one)) {
        const relative = path.relative(folder, file);
        assert.equal(within(relative), file);
        assert.ok(relative !== "" && relative.replace(/^derpkit./, "").split(/[/\\]/).length === 1);
        assert.notEqual(relative.split(path.sep)[0], "..");
      }
      if (identify(one).value === identify(other).value) return;
      const shared = new Set(filesOf(one));
      assert.ok(!filesOf(other).some((file) => shared.has(file)));
    }),
  );
});
