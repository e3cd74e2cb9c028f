import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Surroundings,
  usualCertDir,
  usualKeyFile,
  usualMeshKeyFiles,
  usualSecretsCache,
  usualStateDirectory,
} from "./usual-places.ts";

function linux(env: Surroundings["env"], uid = 1_000): Surroundings {
  return { env, platform: "linux", uid };
}

test("Q17. root's key file is derper's; others need a state directory", () => {
  assert.equal(usualKeyFile(linux({}, 0)), "/var/lib/derper/derper.key");
  assert.equal(usualKeyFile(linux({ STATE_DIRECTORY: "/srv/x" }, 0)), "/var/lib/derper/derper.key");
  assert.equal(usualKeyFile(linux({ STATE_DIRECTORY: "/srv/x" })), "/srv/x/derper.key");
  assert.equal(usualKeyFile(linux({})), undefined);
});

test("of several state directories the first counts, and an empty one is none", () => {
  assert.equal(usualStateDirectory({ env: { STATE_DIRECTORY: "/var/lib/a:/var/lib/b" } }), "/var/lib/a");
  assert.equal(usualStateDirectory({ env: { STATE_DIRECTORY: "" } }), undefined);
});

test("certificates lie in the user's cache folder, which each system has elsewhere", () => {
  const tail = "tailscale/derper-certs";
  assert.equal(usualCertDir(linux({ HOME: "/root" })), `/root/.cache/${tail}`);
  assert.equal(usualCertDir(linux({ HOME: "/root", XDG_CACHE_HOME: "/c" })), `/c/${tail}`);
  assert.equal(usualCertDir(linux({ HOME: "/root", XDG_CACHE_HOME: "c" })), undefined);
  assert.equal(usualCertDir(linux({})), undefined);
  const mac: Surroundings = { env: { HOME: "/Users/x" }, platform: "darwin", uid: 501 };
  assert.equal(usualCertDir(mac), `/Users/x/Library/Caches/${tail}`);
  const windows: Surroundings = { env: {}, platform: "win32", uid: undefined };
  assert.equal(usualCertDir(windows), undefined);
});

test("keys and secrets are looked for in the home folder", () => {
  const env = { HOME: "/home/x" };
  assert.deepEqual(usualMeshKeyFiles({ env }), [
    "/home/derp/keys/derp-mesh.key",
    "/home/x/keys/derp-mesh.key",
  ]);
  assert.deepEqual(usualMeshKeyFiles({ env: {} }), ["/home/derp/keys/derp-mesh.key"]);
  assert.equal(usualSecretsCache({ env }), "/home/x/.cache/derper-secrets");
});
