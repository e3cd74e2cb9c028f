import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KitError } from "../errors.ts";
import { renderCanonicalJson } from "./canonical-json.ts";
import {
  buildManifest,
  decodeManifest,
  encodeManifest,
  type Manifest,
  type ManifestContent,
  maxManifestBytes,
  nextSequence,
} from "./manifest.ts";

const file = (path: string): Manifest["files"][number] => ({ path, sha256: "ab".repeat(32), size: 3 });

const content: ManifestContent = {
  stack: "test",
  region: "alfa",
  version: "0.1.0+0123456789ab",
  files: [file("relay.mjs"), file("config/901a.json")],
  nodes: [{ name: "901a", files: ["config/901a.json", "relay.mjs"] }],
};
const manifest = buildManifest(content, 7);

const encodeAny = (value: unknown): Buffer => Buffer.from(renderCanonicalJson(value));

/** The problems that are found in a manifest with these members instead of the good ones. */
function problemsOf(changes: object): string[] {
  try {
    decodeManifest(encodeAny({ ...manifest, ...changes }));
    return [];
  } catch (error) {
    assert.ok(error instanceof KitError && error.code === "manifest-malformed");
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

test("a manifest reads back as it was written", () => {
  assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
});

test("the bytes do not depend on the order in which files and nodes were given", () => {
  const other = {
    ...content,
    files: content.files.toReversed(),
    nodes: [{ name: "901b", files: [] }, ...content.nodes],
  };
  const sorted = { ...content, nodes: [...content.nodes, { name: "901b", files: [] }] };
  assert.deepEqual(encodeManifest(buildManifest(other, 7)), encodeManifest(buildManifest(sorted, 7)));
});

test("members that a later version adds are passed over", () => {
  const later = {
    ...manifest,
    nextKey: { pem: "…" },
    files: manifest.files.map((each) => ({ ...each, mode: 1 })),
  };
  assert.deepEqual(decodeManifest(encodeAny(later)), manifest);
});

test("a later format is refused", () => {
  assert.deepEqual(problemsOf({ format: 2 }), ["format: is a format that this updater does not know"]);
});

const [keyA = "", keyB = "", keyC = ""] = ["A", "B", "C"].map(
  (letter) => `MCowBQYDK2VwAyEA${letter.repeat(42)}A=`,
);

test("the keys that a manifest names are sorted, so that their order makes no other manifest", () => {
  const keys = [keyB, keyA];
  const named = buildManifest({ ...content, trustedKeys: keys }, 7);
  assert.deepEqual(named.trustedKeys, keys.toSorted());
  assert.deepEqual(decodeManifest(encodeManifest(named)), named);
  assert.equal(nextSequence(named, { ...content, trustedKeys: keys.toReversed() }, 1000), 7);
  assert.equal(nextSequence(named, { ...content, trustedKeys: keys.slice(1) }, 1000), 8);
});

for (const path of [
  "/etc/passwd",
  "../escaped",
  "config/../../escaped",
  "./relay.mjs",
  "config//901a.json",
  "config/",
  "config\\901a.json",
  ".release.json",
  "CON.json",
  "c:relay.mjs",
  "nul\0byte",
  "line\nbreak",
  "",
  "a/".repeat(100) + "a",
]) {
  test(`the path ${JSON.stringify(path.slice(0, 30))} is refused`, () => {
    assert.equal(problemsOf({ files: [...manifest.files, file(path)] }).length, 1);
  });
}

for (const [what, changes, problem] of [
  ["a path twice", { files: [...manifest.files, file("relay.mjs")] }, "relay.mjs: is listed twice"],
  [
    "a file that is a folder as well",
    { files: [...manifest.files, file("relay.mjs/inner")] },
    "relay.mjs/inner: lies in a folder that is listed as a file",
  ],
  ["a node twice", { nodes: [...manifest.nodes, ...manifest.nodes] }, "901a: is a node twice"],
  [
    "a node whose file is not listed",
    { nodes: [{ name: "901a", files: ["config/901a.json", "relay.mjs", "units/a"] }] },
    "901a: needs units/a, which is not listed",
  ],
  [
    "a node that names a file twice",
    { nodes: [{ name: "901a", files: ["config/901a.json", "relay.mjs", "relay.mjs"] }] },
    "901a: names relay.mjs twice",
  ],
  [
    "a node without a relay",
    { nodes: [{ name: "901a", files: ["config/901a.json"] }] },
    "901a: lacks relay.mjs",
  ],
  ["a key twice", { trustedKeys: [keyA, keyA] }, "trustedKeys: names a key twice"],
  ["a list of no keys", { trustedKeys: [] }, "trustedKeys: has to name a key"],
  ["a list of three keys", { trustedKeys: [keyA, keyB, keyC] }, "trustedKeys: has to name 2 keys at most"],
  [
    "a key of another kind",
    { trustedKeys: [`MCowBQYDK2VuAyEA${"A".repeat(43)}=`] },
    "trustedKeys.0: has to be an Ed25519 public key in base64, as derpkit:trustedKeys has it",
  ],
] as const) {
  test(`${what} is refused`, () => {
    assert.deepEqual(problemsOf(changes), [problem]);
  });
}

for (const [what, changes] of [
  ["a sequence of 0", { sequence: 0 }],
  ["a sequence that is not whole", { sequence: 1.5 }],
  ["a sequence that a double cannot tell from the next", { sequence: 2 ** 53 }],
  ["a sequence in text", { sequence: "7" }],
  ["no stack", { stack: undefined }],
  ["a stack with a line break", { stack: "a\nb" }],
  ["a region that is no label", { region: "__proto__" }],
  ["a negative size", { files: [{ ...file("relay.mjs"), size: -1 }, file("config/901a.json")] }],
  ["a size beyond any file's", { files: [{ ...file("relay.mjs"), size: 1e12 }, file("config/901a.json")] }],
  [
    "a digest that is too short",
    { files: [{ ...file("relay.mjs"), sha256: "ab" }, file("config/901a.json")] },
  ],
] as const) {
  test(`${what} is refused, and it is the only problem`, () => {
    assert.equal(problemsOf(changes).length, 1);
  });
}

for (const [what, bytes] of [
  ["nothing", Buffer.alloc(0)],
  ["text", Buffer.from("manifest\n")],
  ["a byte order mark", Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), encodeManifest(manifest)])],
  ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22, 0x0a])],
  ["the same content in another form", Buffer.from(JSON.stringify(manifest))],
  [
    "a member twice",
    Buffer.from(encodeManifest(manifest).toString().replace('"format": 1,', '"format": 2,\n  "format": 1,')),
  ],
  ["no end", encodeManifest(manifest).subarray(0, -2)],
  ["ten thousand brackets", Buffer.from("[".repeat(10_000))],
  ["ten thousand nested lists", Buffer.from(`${"[".repeat(10_000)}${"]".repeat(10_000)}`)],
  ["one byte too many", Buffer.alloc(maxManifestBytes + 1, " ")],
] as const) {
  test(`a manifest that is ${what} is malformed`, () => {
    assert.throws(() => decodeManifest(bytes), { name: "KitError", code: "manifest-malformed" });
  });
}

test("no bytes make the reader fail in any other way", () => {
  const good = encodeManifest(manifest);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.uint8Array({ maxLength: 8 }), (at, splice) => {
      const bytes = Buffer.concat([good.subarray(0, at), splice, good.subarray(at + 1)]);
      try {
        // Whatever is still taken is canonical: it has no other bytes.
        assert.deepEqual(encodeManifest(decodeManifest(bytes)), bytes);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.ok(error instanceof KitError && error.code === "manifest-malformed", String(error));
      }
    }),
  );
});

test("the sequence stays while the content stays, and moves by one when it changes", () => {
  assert.equal(nextSequence(manifest, content, 1000), 7);
  assert.equal(nextSequence(manifest, { ...content, version: "0.1.1" }, 1000), 8);
  const resized = content.files.map((each) => ({ ...each, size: each.size + 1 }));
  assert.equal(nextSequence(manifest, { ...content, files: resized }, 1000), 8);
});

test("content that goes back to what it was gets a new sequence", () => {
  const changed = { ...content, version: "0.1.1" };
  const second = buildManifest(changed, nextSequence(manifest, changed, 1000));
  assert.equal(nextSequence(second, content, 1000), 9);
});

test("without the manifest before, or with that of another region, the sequence is the one that is given", () => {
  assert.equal(nextSequence(undefined, content, 1000), 1000);
  assert.equal(nextSequence({ ...manifest, region: "bravo" }, content, 1000), 1000);
  assert.equal(nextSequence({ ...manifest, stack: "other" }, content, 1000), 1000);
});
