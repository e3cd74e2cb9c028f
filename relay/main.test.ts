import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { certificatePin } from "./crypto/self-signed.ts";
import { startProcess } from "./testing/relay-process.ts";
import { joinRelay } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";
import { packageVersion } from "./version.ts";

async function folderWith(t: TestContext, config: object): Promise<string> {
  const folder = temporaryFolder(t);
  await writeFile(join(folder, "relay.json"), JSON.stringify(config));
  return folder;
}

const config = {
  listen: "127.0.0.1:0",
  hostname: "relay.derpkit.internal",
  certMode: "pinned",
  stun: false,
  httpPort: -1,
};

test("-version prints the version, and -help every flag; both exit with 0", async (t) => {
  const folder = await folderWith(t, config);
  const version = startProcess(t, folder, "-version");
  assert.equal(await version.exit, 0);
  assert.equal(version.output(), `${packageVersion}+dev\n`);
  const help = startProcess(t, folder, "--help");
  assert.equal(await help.exit, 0);
  assert.match(help.output(), /^ {2}-stun-port int$/m);
});

test("an unknown flag prints the usage and exits with 2", async (t) => {
  const relay = startProcess(t, await folderWith(t, config), "-nope");
  assert.equal(await relay.exit, 2);
  assert.match(relay.output(), /flag provided but not defined: -nope[^]*Usage of relay\.mjs/);
});

test("a config with mistakes names each, exits with 1 and makes no file", async (t) => {
  const folder = await folderWith(t, { ...config, listen: 443, colour: "red" });
  const relay = startProcess(t, folder, "-config", "relay.json");
  assert.equal(await relay.exit, 1);
  assert.match(relay.output(), /listen \(-a\): [^]*colour: is not an option/);
  assert.deepEqual(await readdir(folder), ["relay.json"]);
});

test("a config file that is not there is named, and the exit status is 1", async (t) => {
  const relay = startProcess(t, await folderWith(t, config), "-config", "other.json");
  assert.equal(await relay.exit, 1);
  assert.match(relay.output(), /other\.json/);
});

test("SIGTERM stops a relay with exit status 0, and SIGHUP does not stop it", async (t) => {
  const relay = startProcess(t, await folderWith(t, config), "-config=relay.json");
  await relay.printed("serves relay.derpkit.internal");
  relay.child.kill("SIGHUP");
  relay.child.kill("SIGTERM");
  assert.equal(await relay.exit, 0);
  assert.match(relay.output(), /SIGTERM: stopping/);
});

test("a second SIGTERM ends the wait for the clients that are still here", async (t) => {
  const folder = await folderWith(t, config);
  const relay = startProcess(t, folder, "-config=relay.json", "-drain=1h");
  await relay.printed("no STUN");
  const derpPort = Number(/on TCP (\d+)/.exec(relay.output())?.[1]);
  const leaf = new X509Certificate(await readFile(join(folder, "certs", `${config.hostname}.crt`)));
  const client = await joinRelay(t, { derpPort, hostName: config.hostname, pin: certificatePin(leaf.raw) });
  relay.child.kill("SIGTERM");
  assert.equal((await client.receive(AbortSignal.timeout(10_000))).type, "restarting");
  relay.child.kill("SIGTERM");
  assert.equal(await relay.exit, 0);
});

test("with -exit-on-stdin-end a relay ends with whoever started it", async (t) => {
  const relay = startProcess(t, await folderWith(t, config), "-config", "relay.json", "-exit-on-stdin-end");
  await relay.printed("serves relay.derpkit.internal");
  relay.child.stdin?.end();
  assert.equal(await relay.exit, 0);
});
