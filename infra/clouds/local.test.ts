import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile, rm, rmdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import type { NodeConfig } from "../config/fleet.ts";
import { openLocalCloud } from "./local.ts";
import { regionOf } from "../testing/region.ts";
import { localFolder, nodeStateFolder, readKept, withLock } from "./local-files.ts";

/** The local cloud makes nothing of a region as such. */
const localRegion = regionOf({ cloud: "local" });

const noon = new Date("2026-11-22T12:00:00Z");
const day = 24 * 60 * 60 * 1000;

/** A project in a folder of its own, whose local cloud is opened for nodes given by name and what differs. */
async function startProject(t: TestContext) {
  const root = temporaryFolder(t);
  const warnings: string[] = [];
  const open = async (
    nodes: Readonly<Record<string, Partial<NodeConfig>>>,
    { stack = "test", now = noon } = {},
  ) => {
    const described = Object.entries(nodes).map(([name, given]) => describe(name, given));
    const log = { info: () => {}, warn: (message: string) => warnings.push(message) };
    const context = { root, stack, now, log, offline: true, previous: [] };
    const cloud = await openLocalCloud([{ id: 901, nodes: described }], context);
    const site = cloud.createSite(localRegion, "derp-901", {});
    return Object.fromEntries(
      described.map((node) => [node.name, site.createIdentity(node, node.name, {})] as const),
    );
  };
  const certificate = (node: string, hostName = `${node}.test`): string =>
    join(nodeStateFolder(root, "test", node), "certs", hostName);
  return { root, open, warnings, certificate };
}

function describe(name: string, given: Partial<NodeConfig>): NodeConfig {
  return {
    name,
    hostName: `${name}.test`,
    derpPort: undefined,
    stunPort: undefined,
    pin: undefined,
    ...given,
  };
}

test("ports and pins are chosen once and kept, and the file is not written again", async (t) => {
  const { root, open, warnings } = await startProject(t);
  const first = await open({ alice: {}, bob: {} });
  const file = join(localFolder(root), "test.json");
  const written = await stat(file, { bigint: true });
  assert.deepEqual(await open({ bob: {}, alice: {} }), first);
  assert.equal((await stat(file, { bigint: true })).mtimeNs, written.mtimeNs);
  const { alice, bob } = first;
  assert.notEqual(alice?.certName, bob?.certName);
  assert.notEqual(alice?.derpPort, bob?.derpPort);
  assert.notEqual(alice?.stunPort, bob?.stunPort);
  assert.equal(alice?.ipv4, "127.0.0.1");
  assert.equal(alice?.listen, `127.0.0.1:${alice?.derpPort}`);
  assert.deepEqual(warnings, []);
});

test("the kept file has the documented form, keys sorted", async (t) => {
  const { root, open } = await startProject(t);
  const { alice } = await open({ bob: {}, alice: {} });
  const kept: unknown = JSON.parse(await readFile(join(localFolder(root), "test.json"), "utf8"));
  const { certName, derpPort, stunPort } = alice ?? {};
  assert.deepEqual(Object.keys(Object(kept).nodes), ["alice", "bob"]);
  assert.equal(
    JSON.stringify(Object(kept).nodes.alice),
    JSON.stringify({ certName, derpPort, hostName: "alice.test", stunPort }),
  );
});

test("the pin is that of the certificate, which names the host and fits the key that only its owner may read", async (t) => {
  const { open, certificate } = await startProject(t);
  const { alice } = await open({ alice: {} });
  const parsed = new X509Certificate(await readFile(`${certificate("alice")}.crt`));
  const fingerprint = parsed.fingerprint256.replaceAll(":", "").toLowerCase();
  assert.equal(alice?.certName, `sha256-raw:${fingerprint}`);
  assert.equal(parsed.checkHost("alice.test"), "alice.test");
  assert.equal(parsed.validFromDate.getTime(), noon.getTime() - day);
  assert.ok(parsed.validToDate.getTime() > noon.getTime() + 3650 * day);
  if (process.platform !== "win32") {
    assert.equal((await stat(`${certificate("alice")}.key`)).mode & 0o777, 0o600);
    assert.equal((await stat(`${certificate("alice")}.crt`)).mode & 0o777, 0o644);
  }
});

test("relays of one region have a mesh key, made once and for its owner's eyes only; a single one has none", async (t) => {
  const { root, open } = await startProject(t);
  const { alice, bob } = await open({ alice: {}, bob: {} });
  const file = join(localFolder(root), "test", "mesh-901.key");
  const key = await readFile(file, "utf8");
  assert.match(key, /^[0-9a-f]{64}\n$/);
  if (process.platform !== "win32") assert.equal((await stat(file)).mode & 0o777, 0o600);
  for (const [name, node] of Object.entries({ alice, bob }))
    assert.equal(join(nodeStateFolder(root, "test", name), node?.meshKeyFile ?? ""), file);
  assert.equal((await open({ alice: {} }))["alice"]?.meshKeyFile, undefined);
  await open({ alice: {}, bob: {} });
  assert.equal(await readFile(file, "utf8"), key);
});

test("a port in the configuration wins over the kept one, and moves the node that had it", async (t) => {
  const { open } = await startProject(t);
  const { alice, bob } = await open({ alice: {}, bob: {} });
  const wanted = Number(alice?.derpPort);
  const after = await open({ alice: {}, bob: { derpPort: wanted, stunPort: 3478 } });
  assert.equal(after["bob"]?.derpPort, wanted);
  assert.equal(after["bob"]?.stunPort, 3478);
  assert.notEqual(after["alice"]?.derpPort, wanted);
  assert.notEqual(after["alice"]?.derpPort, bob?.derpPort);
  assert.equal(after["alice"]?.stunPort, alice?.stunPort);
});

test("a node that left the configuration finds its ports and its pin when it returns", async (t) => {
  const { open, warnings } = await startProject(t);
  const first = await open({ alice: {}, bob: {} });
  await open({ bob: {} });
  assert.deepEqual(await open({ alice: {}, bob: {} }), first);
  assert.deepEqual(warnings, []);
});

test("a node that is called as something every object has is kept like any other", async (t) => {
  const { open } = await startProject(t);
  assert.deepEqual(await open({ constructor: {} }), await open({ constructor: {} }));
});

test("two programs that run for the first time at the same moment agree", async (t) => {
  const { open, warnings } = await startProject(t);
  const nodes = { alice: {}, bob: {} };
  const [one, other] = await Promise.all([open(nodes), open(nodes)]);
  assert.deepEqual(one, other);
  assert.deepEqual(warnings, []);
});

test("two stacks of one project share no port", async (t) => {
  const { root, open } = await startProject(t);
  const names = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`n${index}`, {}]));
  await Promise.all(["test", "other"].map((stack) => open(names, { stack })));
  const nodes = [...(await readKept(root, "test")).values(), ...(await readKept(root, "other")).values()];
  assert.equal(new Set(nodes.map(({ derpPort }) => derpPort)).size, 16);
  assert.equal(new Set(nodes.map(({ stunPort }) => stunPort)).size, 16);
});

test("a folder that is called as another stack's file would be is none", async (t) => {
  const { root, open } = await startProject(t);
  await mkdir(join(localFolder(root), "other.json"), { recursive: true });
  assert.equal((await open({ alice: {} }))["alice"]?.ipv4, "127.0.0.1");
});

test("a certificate that serves no longer is made anew, with the same ports and a warning that says why", async (t) => {
  const { open, warnings, certificate } = await startProject(t);
  const first = await open({ alice: {}, bob: {} });
  const path = certificate("alice");
  const [crt, key] = [`${path}.crt`, `${path}.key`];
  const usual: Parameters<typeof open> = [{ alice: {} }];
  const spoilers: [reason: RegExp, spoil: () => Promise<void>, opening?: Parameters<typeof open>][] = [
    [/is missing/, () => rm(crt)],
    [/is missing/, () => rm(key)],
    [
      /cannot be read/,
      () => writeFile(crt, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ],
    [/does not fit its key/, async () => writeFile(key, await readFile(`${certificate("bob")}.key`))],
    [
      /is not for alice\.test/,
      async () => {
        for (const end of [".crt", ".key"])
          await writeFile(path + end, await readFile(certificate("bob") + end));
      },
    ],
    [/is about to expire/, async () => {}, [{ alice: {} }, { now: new Date(noon.getTime() + 3630 * day) }]],
    [/is not valid yet/, async () => {}, usual],
    [/was for alice\.test/, async () => {}, [{ alice: { hostName: "renamed.test" } }]],
    [/was for renamed\.test/, async () => {}, usual],
  ];
  let pin = first["alice"]?.certName;
  for (const [reason, spoil, opening = usual] of spoilers) {
    await spoil();
    const { alice } = await open(...opening);
    assert.match(warnings.splice(0).join("\n"), reason);
    assert.notEqual(alice?.certName, pin);
    assert.equal(alice?.derpPort, first["alice"]?.derpPort);
    pin = alice?.certName;
    assert.equal((await open(...opening))["alice"]?.certName, pin);
    assert.deepEqual(warnings, []);
  }
});

test("a certificate that is not the pinned one is replaced, never pinned in silence", async (t) => {
  const { root, open, warnings } = await startProject(t);
  const { alice } = await open({ alice: {} });
  const file = join(localFolder(root), "test.json");
  const other = `sha256-raw:${"0".repeat(64)}`;
  await writeFile(file, (await readFile(file, "utf8")).replace(String(alice?.certName), other));
  const after = await open({ alice: {} });
  assert.match(warnings.join(), /is not the one that was pinned/);
  assert.ok(![alice?.certName, other].includes(after["alice"]?.certName));
});

test("a pin is found again from the certificate when the kept file is gone", async (t) => {
  const { root, open } = await startProject(t);
  const { alice } = await open({ alice: {} });
  await rm(join(localFolder(root), "test.json"));
  assert.equal((await open({ alice: {} }))["alice"]?.certName, alice?.certName);
});

test("a damaged file is named, of this stack or another, and left as it is", async (t) => {
  const { root, open } = await startProject(t);
  await open({ alice: {} });
  const file = join(localFolder(root), "test.json");
  for (const damage of ["", "{", "[]", '{"nodes": null}', '{"nodes": {"alice": {"derpPort": "1"}}}']) {
    await writeFile(file, damage);
    for (const stack of ["test", "other"]) {
      await assert.rejects(open({ alice: {} }, { stack }), (error) => {
        assert.ok(error instanceof KitError);
        assert.equal(error.code, "file-unreadable");
        assert.equal(error.where, file);
        return true;
      });
    }
    assert.equal(await readFile(file, "utf8"), damage);
  }
});

test("a file that cannot be read is named", async (t) => {
  const { root, open, certificate } = await startProject(t);
  for (const file of [join(localFolder(root), "test.json"), `${certificate("alice")}.crt`]) {
    await mkdir(file, { recursive: true });
    await assert.rejects(
      open({ alice: {} }),
      (error) => error instanceof KitError && error.code === "file-unreadable" && error.where === file,
    );
    await rmdir(file);
  }
});

test("a folder that cannot be written is a mistake that a person can mend", async (t) => {
  const { root, open } = await startProject(t);
  await writeFile(join(root, ".derpkit"), "a file in the place of the folder");
  await assert.rejects(
    open({ alice: {} }),
    (error) => error instanceof KitError && error.code === "file-unreadable",
  );
});

test("the lock of a program that was killed is taken over, that of a running one is waited for", async (t) => {
  const { root } = await startProject(t);
  const order: string[] = [];
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  const first = withLock(root, async () => {
    enter();
    await held;
    order.push("first");
  });
  await entered;
  const second = withLock(root, async () => order.push("second"));
  release();
  await Promise.all([first, second]);
  assert.deepEqual(order, ["first", "second"]);

  const lock = join(localFolder(root), ".lock");
  await writeFile(lock, "");
  await utimes(lock, new Date(0), new Date(0));
  assert.equal(await withLock(root, async () => "entered"), "entered");
});
