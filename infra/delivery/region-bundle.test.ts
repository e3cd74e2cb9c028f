import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { parseKeyList } from "../../relay/admission/key-list.ts";
import { parseRateConfig } from "../../relay/config/rate-config.ts";
import { KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { limits } from "../../relay/protocol/frame.ts";
import { decodeManifest, type Manifest } from "../../relay/updater/manifest.ts";
import { encodePublicKey } from "../../relay/updater/public-key.ts";
import type { Release, Service } from "../../relay/updater/service.ts";
import { parseTrustedKeys, verifyManifest } from "../../relay/updater/signature.ts";
import { folderSource } from "../../relay/updater/source.ts";
import { startUpdater } from "../../relay/updater/updater.ts";
import { assembleRegionBundle, publishRegionBundle, type RegionContent } from "./region-bundle.ts";

const signingKey = generateKeyPairSync("ed25519").privateKey;
const trustedKey = createPublicKey(signingKey).export({ type: "spki", format: "pem" }).toString();

const node = (name: string): RegionContent["nodes"][number] => ({
  name,
  relayConfig: { stunPort: 20_002, hostname: `${name}.derp.example.com`, certMode: "pinned", listen: ":443" },
});

const content: RegionContent = {
  stack: "test",
  region: "alfa",
  relay: { code: Buffer.from("// the relay\n"), version: "0.1.0+0123456789ab" },
  nodes: [node("901b"), node("901a")],
};

function openFolder(t: TestContext): string {
  return path.join(temporaryFolder(t), "alfa");
}

/** Reads the manifest as a node would. */
async function readManifest(folder: string): Promise<Manifest> {
  const bytes = await readFile(path.join(folder, "manifest.json"));
  verifyManifest(bytes, await readFile(path.join(folder, "manifest.sig")), parseTrustedKeys([trustedKey]));
  return decodeManifest(bytes);
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .toSorted();
}

const files = ["config/901a.json", "config/901b.json", "manifest.json", "manifest.sig", "relay.mjs"];

test("a bundle has the relay, each node's configuration, and the signed manifest last", () => {
  const bundle = assembleRegionBundle(content, undefined, new Date(5_000_500), signingKey);
  assert.deepEqual([...bundle.keys()].toSorted(), files);
  assert.deepEqual([...bundle.keys()].slice(-2), ["manifest.sig", "manifest.json"]);
  assert.equal(
    Buffer.from(bundle.get("config/901a.json") ?? []).toString(),
    `{
  "certMode": "pinned",
  "hostname": "901a.derp.example.com",
  "listen": ":443",
  "stunPort": 20002
}
`,
  );
  const manifest = decodeManifest(bundle.get("manifest.json") ?? new Uint8Array());
  assert.equal(manifest.sequence, 5_000);
  assert.deepEqual(manifest.nodes, [
    { name: "901a", files: ["config/901a.json", "relay.mjs"] },
    { name: "901b", files: ["config/901b.json", "relay.mjs"] },
  ]);
});

test("a manifest names the keys that machines are to trust, and none where there are no machines", () => {
  const manifestOf = (trustedKeys?: readonly string[]): Manifest => {
    const bundle = assembleRegionBundle({ ...content, trustedKeys }, undefined, new Date(), signingKey);
    return decodeManifest(bundle.get("manifest.json") ?? new Uint8Array());
  };
  const keys = [encodePublicKey(signingKey), encodePublicKey(generateKeyPairSync("ed25519").privateKey)];
  assert.deepEqual(manifestOf(keys).trustedKeys, keys.toSorted());
  assert.equal(manifestOf().trustedKeys, undefined);
});

test("a key that machines do not trust signs nothing, and the error names the one that they would have to", async (t) => {
  const folder = openFolder(t);
  const trustedKeys = [encodePublicKey(generateKeyPairSync("ed25519").privateKey)];
  await assert.rejects(publishRegionBundle({ ...content, trustedKeys }, folder, signingKey), (error) => {
    assert.ok(error instanceof KitError && error.code === "signing-key-untrusted");
    assert.ok(error.problems[0]?.message.includes(encodePublicKey(signingKey)));
    return true;
  });
  await assert.rejects(readdir(folder), { code: "ENOENT" });
});

test("the same content gives the same bytes, in whatever order it is given", () => {
  const now = new Date(5_000_000);
  const shuffled = { ...content, nodes: content.nodes.toReversed() };
  assert.deepEqual(
    assembleRegionBundle(shuffled, undefined, now, signingKey),
    assembleRegionBundle(content, undefined, now, signingKey),
  );
});

test("publishing again keeps the sequence, publishing other content raises it by one", async (t) => {
  const folder = openFolder(t);
  await publishRegionBundle(content, folder, signingKey);
  const first = await readManifest(folder);
  await publishRegionBundle(content, folder, signingKey);
  assert.deepEqual(await readManifest(folder), first);
  await publishRegionBundle({ ...content, nodes: [node("901a")] }, folder, signingKey);
  assert.equal((await readManifest(folder)).sequence, first.sequence + 1);
});

test("a publisher that lost what it published is above it nevertheless", async (t) => {
  const folder = openFolder(t);
  await publishRegionBundle(content, folder, signingKey);
  const first = await readManifest(folder);
  await rm(folder, { recursive: true });
  await publishRegionBundle(content, folder, signingKey);
  assert.ok((await readManifest(folder)).sequence >= first.sequence);
});

test("a manifest that somebody else put there has no say in the sequence", async (t) => {
  const folder = openFolder(t);
  const foreign = generateKeyPairSync("ed25519").privateKey;
  await publishRegionBundle(content, folder, signingKey);
  for (const [name, bytes] of assembleRegionBundle(content, undefined, new Date(8e15), foreign)) {
    await writeFile(path.join(folder, name), bytes);
  }
  await publishRegionBundle(content, folder, signingKey);
  assert.ok((await readManifest(folder)).sequence < 8e12);
});

test("what does not belong to the bundle is removed, and what a link leads to is left alone", async (t) => {
  const folder = openFolder(t);
  await publishRegionBundle({ ...content, nodes: [...content.nodes, node("901c")] }, folder, signingKey);
  const elsewhere = path.join(folder, "../elsewhere");
  await writeFile(elsewhere, "mine");
  await rm(path.join(folder, "relay.mjs"));
  await symlink(elsewhere, path.join(folder, "relay.mjs"));
  await writeFile(path.join(folder, "config", "901a.json.new"), "half");
  await publishRegionBundle(content, folder, signingKey);
  assert.deepEqual(await listFiles(folder), files);
  assert.equal(await readFile(elsewhere, "utf8"), "mine");
});

test("a folder that cannot be written is named", async (t) => {
  const folder = openFolder(t);
  await writeFile(folder, "a file");
  await assert.rejects(publishRegionBundle(content, folder, signingKey), (error) => {
    assert.ok(error instanceof KitError && error.code === "file-unreadable" && error.where === folder);
    return true;
  });
});

test("an updater takes what was published", async (t) => {
  const folder = openFolder(t);
  await publishRegionBundle(content, folder, signingKey);
  const started: Release[] = [];
  const service: Service = {
    start: async (release) => void started.push(release),
    healthy: async () => {},
    stop: async () => {},
  };
  await using updater = startUpdater({
    stack: "test",
    region: "alfa",
    node: "901b",
    source: folderSource(folder),
    trustedKeys: [trustedKey],
    root: path.join(folder, "../machine"),
    service,
    log: () => {},
  });
  await updater.ready;
  assert.equal(started.length, 1);
  assert.match(await readFile(started[0]?.config ?? "", "utf8"), /901b\.derp\.example\.com/);
});

test("a list of who may connect is a file of every node's release, sorted, and an empty one says that it is meant", () => {
  const [one, other] = [`nodekey:${"b".repeat(64)}`, `nodekey:${"a".repeat(64)}`];
  const bundleOf = (allow: readonly string[]) =>
    assembleRegionBundle({ ...content, allow }, undefined, new Date(), signingKey);
  const bundle = bundleOf([one, other]);
  assert.equal(Buffer.from(bundle.get("allow-list.txt") ?? []).toString(), `${other}\n${one}\n`);
  const { nodes } = decodeManifest(bundle.get("manifest.json") ?? new Uint8Array());
  assert.deepEqual(nodes[0]?.files, ["config/901a.json", "relay.mjs", "allow-list.txt"]);
  const nobody = Buffer.from(bundleOf([]).get("allow-list.txt") ?? []).toString();
  assert.deepEqual(parseKeyList(nobody), { keys: new Set() });
  assert.equal(assembleRegionBundle(content, undefined, new Date(), signingKey).has("allow-list.txt"), false);
});

test("that a region is draining is a file of every node's release", () => {
  const nodesOf = (draining: boolean) => {
    const bundle = assembleRegionBundle({ ...content, draining }, undefined, new Date(), signingKey);
    return decodeManifest(bundle.get("manifest.json") ?? new Uint8Array()).nodes.map((each) =>
      each.files.includes("draining.txt"),
    );
  };
  assert.deepEqual([...new Set(nodesOf(true))], [true]);
  assert.deepEqual([...new Set(nodesOf(false))], [false]);
});

test("a limit for clients is a file of every node's release, which the relay takes", () => {
  const limitOf = (clientRate: RegionContent["clientRate"]) => {
    const bundle = assembleRegionBundle({ ...content, clientRate }, undefined, new Date(), signingKey);
    return parseRateConfig(Buffer.from(bundle.get("rate-config.json") ?? []).toString());
  };
  assert.deepEqual(limitOf({ bytesPerSecond: 5_000_000, burst: 20_000_000 }), {
    bytesPerSecond: 5_000_000,
    burst: 20_000_000,
  });
  assert.deepEqual(limitOf({ bytesPerSecond: 1_000 }), {
    bytesPerSecond: 1_000,
    burst: limits.sendPacket.max,
  });
  assert.equal(limitOf(undefined), "malformed", "there is no file");
});
