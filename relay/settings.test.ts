import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import * as v from "valibot";
import { type RelayConfigInput, relayConfigSchema } from "./config/schema.ts";
import { KitError } from "./errors.ts";
import { readSettings, type Settings } from "./settings.ts";
import { quietConfig } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const key = "0123456789abcdef".repeat(4);

async function read(
  folder: string,
  options: Partial<RelayConfigInput>,
  env: Readonly<Record<string, string>> = {},
): Promise<Settings> {
  const config = v.parse(relayConfigSchema, { ...quietConfig, certMode: "letsencrypt", ...options });
  return readSettings(config, { stateDirectory: folder, env, log: () => {} });
}

async function folderWithKey(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  await writeFile(join(folder, "mesh.key"), `${key}\n`);
  return folder;
}

test("-dev listens on :3340 with a key that no file keeps, and with the mesh key of the environment alone", async (t) => {
  const folder = await folderWithKey(t);
  const options = { dev: true, listen: ":443", meshPskFile: "mesh.key" };
  const one = await read(folder, options);
  const other = await read(folder, options, { TAILSCALE_DERPER_MESH_KEY: ` ${key.toUpperCase()} ` });
  assert.deepEqual(one.listen, { host: undefined, port: 3_340 });
  assert.equal(one.tls, false);
  assert.notDeepEqual(one.privateKey, other.privateKey);
  assert.deepEqual([one.meshKeys, other.meshKeys], [[], [key.toUpperCase()]]);
  assert.deepEqual(await readdir(folder), ["mesh.key"]);
  await assert.rejects(
    read(folder, options, { TAILSCALE_DERPER_MESH_KEY: "badf00d" }),
    (error) =>
      error instanceof KitError && error.code === "mesh-key-invalid" && !/badf00d/.test(error.message),
  );
});

test("the mesh key's file is the one that is named, or derper's in the home folder; an empty name is none", async (t) => {
  const folder = await folderWithKey(t);
  assert.deepEqual((await read(folder, { meshPskFile: "mesh.key" })).meshKeys, [key]);
  assert.deepEqual((await read(folder, { meshPskFile: "" }, { HOME: folder })).meshKeys, []);
  await assert.rejects(read(folder, { meshPskFile: "other.key" }), KitError);
});

test("keepalive is Go's: 0 is 15 s, and less than that is none", async (t) => {
  const folder = temporaryFolder(t);
  const table = { "10m": 600_000, "0": 15_000, "-1s": 0 };
  for (const [tcpKeepaliveTime, ms] of Object.entries(table)) {
    assert.equal((await read(folder, { tcpKeepaliveTime })).keepaliveMs, ms, tcpKeepaliveTime);
  }
});

test("Q17. a key file that is not named lies where derper's does, or in the unit's state directory", async (t) => {
  const folder = temporaryFolder(t);
  if (process.getuid?.() === 0) return t.skip("root has a file of its own, which is not ours to make");
  const settings = await read(folder, { keyFile: "" }, { STATE_DIRECTORY: folder });
  assert.match(await readFile(join(folder, "derper.key"), "utf8"), /PrivateKey/);
  assert.equal(settings.privateKey.length, 32);
  await assert.rejects(
    read(folder, { keyFile: "" }),
    (error) => error instanceof KitError && error.problems[0]?.path === "keyFile (-c)",
  );
});

test("a relay that awaits its secrets starts without them, and without the option it does not", async (t) => {
  const folder = await folderWithKey(t);
  await writeFile(join(folder, "blank"), "\n");
  for (const file of ["blank", "nowhere"]) {
    const options = { meshPskFile: file, meshWith: "b.example", statusTokenFile: file };
    const { meshKeys, statusToken } = await read(folder, { ...options, awaitSecrets: true });
    assert.deepEqual([meshKeys, statusToken], [[], undefined]);
    await assert.rejects(read(folder, options), KitError);
    await assert.rejects(read(folder, { statusTokenFile: file }), KitError);
  }
  const come = { meshPskFile: "mesh.key", statusTokenFile: "mesh.key", awaitSecrets: true };
  const { meshKeys, statusToken } = await read(folder, come);
  assert.deepEqual([meshKeys, statusToken?.length], [[key], 32]);
  await writeFile(join(folder, "wrong"), "badf00d\n");
  for (const wrong of [{ meshPskFile: "wrong" }, { statusTokenFile: "wrong" }])
    await assert.rejects(read(folder, { ...wrong, awaitSecrets: true }), KitError);
});
