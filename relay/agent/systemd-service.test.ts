import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { KitError } from "../errors.ts";
import { startTestRelay } from "../testing/running-relay.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { Machine } from "../updater/machine.ts";
import { configFile, describeFile, relayFile } from "../updater/manifest.ts";
import type { Release } from "../updater/service.ts";
import { createSystemdService } from "./systemd-service.ts";

/** A machine whose systemd notes what it is told, and does it or not. */
async function openMachine(t: TestContext) {
  const root = temporaryFolder(t);
  const told: string[] = [];
  const state = { active: false, starts: true, reloads: true };
  const unitFolder = path.join(root, "system");
  const runningFile = path.join(root, "running");
  await mkdir(unitFolder);
  const service = createSystemdService({
    node: "901a",
    unitFolder,
    etc: path.join(root, "etc"),
    runtimes: path.join(root, "runtimes"),
    runningFile,
    async systemctl(...args) {
      told.push(args.join(" "));
      if (args[0] === "is-active") return { ok: state.active, text: "" };
      if (args[0] === "reload") return { ok: state.reloads, text: "" };
      if (args[0] === "restart" && args[1] === "derpkit-relay.service") state.active = state.starts;
      return { ok: args[0] !== "restart" || state.starts, text: state.starts ? "" : "it said why" };
    },
  });
  return {
    service,
    state,
    /** What systemd was told since the last time. */
    told: () => told.splice(0).filter((line) => !line.startsWith("is-active")),
    release: async (
      digest: string,
      units: Readonly<Record<string, string>>,
      config: object = {},
    ): Promise<Release> => {
      const folder = path.join(root, "releases", digest);
      await mkdir(path.join(folder, "units", "901a"), { recursive: true });
      for (const [name, text] of Object.entries(units)) {
        await writeFile(path.join(folder, "units", "901a", name), text);
      }
      await writeFile(path.join(folder, "901a.json"), JSON.stringify({ hostname: "a.example", ...config }));
      return {
        digest,
        version: "0.1.0+test",
        folder,
        code: path.join(folder, "relay.mjs"),
        config: path.join(folder, "901a.json"),
        sha256: "ab".repeat(32),
        processDigest: digest,
      };
    },
    /** A release as the updater puts it in its place. */
    add: (files: Readonly<Record<string, string>>): Promise<Release> => {
      const all: Readonly<Record<string, string>> = {
        [relayFile]: "A",
        [configFile("901a")]: '{"hostname": "a.example"}',
        "units/901a/derpkit-relay.service": "relay",
        ...files,
      };
      const described = Object.entries(all).map(([name, text]) => describeFile(name, Buffer.from(text)));
      const content = { node: "901a", version: "0.1.0+test", files: described };
      return new Machine(root).addRelease(content, async (file) => Buffer.from(all[file.path] ?? ""));
    },
    whatRuns: () => readFile(runningFile, "utf8"),
    runsFrom: (release: Release) => writeFile(runningFile, `${release.folder}\n`),
  };
}

const units = {
  "derpkit-relay.service": "relay",
  "derpkit-derp.socket": "derp",
  "derpkit-retry.timer": "retry",
};

test("the first release's units are made known and enabled before its relay is started", async (t) => {
  const { service, release, told } = await openMachine(t);
  await service.start(await release("1", units));
  assert.deepEqual(told(), [
    "daemon-reload",
    "enable derpkit-derp.socket derpkit-relay.service derpkit-retry.timer",
    "restart derpkit-retry.timer",
    "stop derpkit-relay.service",
    "stop derpkit-derp.socket",
    "reset-failed derpkit-relay.service",
    "restart derpkit-relay.service",
  ]);
});

test("another release with the same units is a restart and nothing else: its sockets stay open", async (t) => {
  const { service, release, told } = await openMachine(t);
  await service.start(await release("1", units));
  told();
  await service.start(await release("2", units));
  assert.deepEqual(told(), ["reset-failed derpkit-relay.service", "restart derpkit-relay.service"]);
});

test("the release that runs already is left alone, whoever started it", async (t) => {
  const { service, release, runsFrom, told } = await openMachine(t);
  const one = await release("1", units);
  await service.start(one);
  await runsFrom(one);
  told();
  await service.start(one);
  assert.deepEqual(told(), []);
});

test("one whose relay has died is started again", async (t) => {
  const { service, release, runsFrom, state, told } = await openMachine(t);
  const one = await release("1", units);
  await service.start(one);
  await runsFrom(one);
  state.active = false;
  told();
  await service.start(one);
  assert.deepEqual(told(), ["reset-failed derpkit-relay.service", "restart derpkit-relay.service"]);
});

/** What systemd is told of a relay that is started. */
const restart = ["reset-failed derpkit-relay.service", "restart derpkit-relay.service"];

/** A machine whose relay was started from a release with a list. */
async function machineWithList(t: TestContext) {
  const machine = await openMachine(t);
  const one = await machine.add({ "allow-list.txt": "one" });
  await machine.service.start(one);
  await machine.runsFrom(one);
  machine.told();
  return { ...machine, one, two: await machine.add({ "allow-list.txt": "two" }) };
}

test("another list is read by the relay that runs, which is then the new release's", async (t) => {
  const { service, told, whatRuns, one, two } = await machineWithList(t);
  await service.start(two);
  assert.deepEqual(told(), ["reload derpkit-relay.service"]);
  assert.equal(await whatRuns(), `${two.folder}\n`);
  await service.start(two);
  assert.deepEqual(told(), []);
  await service.start(one);
  assert.deepEqual(told(), ["reload derpkit-relay.service"], "that is also how it is gone back from");
});

test("of an updater that is killed before it has noted a reload the next one has it done once more", async (t) => {
  const { service, told, runsFrom, one, two } = await machineWithList(t);
  await service.start(two);
  await runsFrom(one);
  told();
  await service.start(two);
  assert.deepEqual(told(), ["reload derpkit-relay.service"]);
});

test("other limits are read again as well, and so is that the region drains; with anything else beside them the relay is started", async (t) => {
  const { service, told, add } = await machineWithList(t);
  await service.start(await add({ "allow-list.txt": "one", "rate-config.json": "{}", "draining.txt": "" }));
  assert.deepEqual(told(), ["reload derpkit-relay.service"]);
  await service.start(await add({ "allow-list.txt": "two", "config/901a.json": "{}" }));
  assert.deepEqual(told(), restart);
});

test("a relay that does not run, or was not well when it was looked at last, is started and not told to read", async (t) => {
  const { service, state, told, runsFrom, one, two } = await machineWithList(t);
  state.active = false;
  await service.start(two);
  assert.deepEqual(told(), restart);
  await runsFrom(two);
  await assert.rejects(service.healthy(two, AbortSignal.abort()), { code: "relay-not-ready" });
  await service.start(one);
  assert.deepEqual(told(), restart);
});

test("a relay that cannot be told is started, and so is one of a release that is gone", async (t) => {
  const { service, told, runsFrom, one, two, state } = await machineWithList(t);
  state.reloads = false;
  await service.start(two);
  assert.deepEqual(told(), ["reload derpkit-relay.service", ...restart]);
  state.reloads = true;
  await runsFrom({ ...one, folder: `${one.folder}-gone` });
  await service.start(two);
  assert.deepEqual(told(), restart);
});

test("a new unit of the updater alone does not touch the relay", async (t) => {
  const { service, release, runsFrom, told } = await openMachine(t);
  const one = await release("1", { ...units, "derpkit-updater.service": "one" });
  await service.start(one);
  await runsFrom(one);
  told();
  const two = await release("2", { ...units, "derpkit-updater.service": "two" });
  await runsFrom(two);
  await service.start(two);
  assert.deepEqual(told(), ["daemon-reload", "enable derpkit-updater.service"]);
});

test("a relay that does not start is a failure that shows what systemd says", async (t) => {
  const { service, release, state } = await openMachine(t);
  state.starts = false;
  await assert.rejects(service.start(await release("1", units)), (error) => {
    assert.ok(error instanceof KitError);
    assert.equal(error.code, "relay-exited");
    assert.match(JSON.stringify(error.problems), /it said why/);
    return true;
  });
});

test("a relay that answers well several times is healthy", async (t) => {
  const { service, release, state } = await openMachine(t);
  const running = await startTestRelay(t, {}, { bundle: "ab".repeat(32) });
  const config = { hostname: running.hostName, listen: `:${running.derpPort}`, stunPort: running.stunPort };
  state.active = true;
  await service.healthy(await release("1", units, config), t.signal);
  assert.ok(running.relay.core.counters.accepts >= 3);
});

test("one that has died is told at once, and one that never answers when its time is up", async (t) => {
  const { service, release, state } = await openMachine(t);
  const nobody = await release("1", units, { listen: ":9" });
  await assert.rejects(service.healthy(nobody, t.signal), { code: "relay-exited" });
  state.active = true;
  await assert.rejects(service.healthy(nobody, AbortSignal.timeout(100)), { code: "relay-not-ready" });
});
