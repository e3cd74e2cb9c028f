/** The bundled relay as a service of systemd, on Node.js and on Bun: its sockets, its restart, and what it says of itself. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { before, test, type TestContext } from "node:test";
import timers from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { askStun } from "../relay/client/stun.ts";
import { relayBundle } from "../infra/delivery/relay-bundle.ts";
import { findProgram, whyNotFound } from "../scripts/conformance/programs.ts";
import { createFiles, type RelayFiles, removeFiles } from "./conformance/relay-under-test.ts";
import { eventually } from "./eventually.ts";
import { type Manager, type ManagerOptions, startManager, whyNoManager } from "./systemd-manager.ts";

const kinds = ["node", "bun"] as const;
type Kind = (typeof kinds)[number];

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === "::1"),
);
const families = hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
/** The watchdog of a unit that is looked at after half a second, so that a test does not take long. */
const watchdogUsec = "500000";
/** Between two connections of somebody who never stops to come. */
const knockMs = 10;
const usualSockets: ManagerOptions["sockets"] = [
  ["stun", "udp"],
  ["derp", "tcp"],
  ["http", "tcp"],
];

let code: Uint8Array;
before(async () => {
  ({ code } = await relayBundle());
});

interface Service extends Manager {
  readonly files: RelayFiles;
  /** Starts the relay, and waits until it says that it serves. @returns the process ids of the relay and its helper */
  serve(): Promise<{ readonly relay: number; readonly helper: number }>;
  /** Starts the relay without waiting. @param more of its environment */
  launch(more?: Readonly<Record<string, string>>): Promise<number>;
}

async function serviceOf(
  t: TestContext,
  kind: Kind,
  options: Partial<Omit<ManagerOptions, "notify">> & { readonly notify?: (folder: string) => string } = {},
): Promise<Service> {
  const files = await createFiles();
  t.after(() => removeFiles(files));
  const { folder, hostName } = files;
  const {
    address = hasIpv6 ? "::" : "127.0.0.1",
    sockets = usualSockets,
    notify = (inside: string) => path.join(inside, "notify"),
  } = options;
  const manager = await startManager(t, { address, sockets, notify: notify(folder) });
  await writeFile(path.join(folder, "relay.mjs"), code);
  const program = kind === "node" ? process.execPath : (findProgram("bun") ?? "");
  // 192.0.2.1 is nobody's: a relay that binds for itself fails.
  const flags = { a: "192.0.2.1:443", hostname: hostName, certmode: "manual", drain: "0s" };
  const places = { certdir: path.join(folder, "certs"), c: path.join(folder, "derper.key") };
  const args = Object.entries({ ...flags, ...places }).map(([name, value]) => `-${name}=${value}`);
  const env = { PATH: process.env["PATH"] ?? "", STATE_DIRECTORY: folder, WATCHDOG_USEC: watchdogUsec };
  const launch = (more = {}): Promise<number> =>
    manager.start([program, path.join(folder, "relay.mjs"), ...args], { ...env, ...more });
  return {
    ...manager,
    files,
    launch,
    async serve() {
      const relay = await launch();
      return { relay, helper: (await manager.told("READY=1\nSTATUS=serves ")).pid };
    },
  };
}

async function open(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connectTcp({ port, host });
  await once(socket, "connect");
  return socket;
}

/** Asks over a connection that is there already. */
async function askHealth({ files }: Service, socket: Socket): Promise<string> {
  const servername = files.hostName;
  const secured = connectTls({ socket, servername, rejectUnauthorized: false });
  secured.write(`GET /healthz HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
  return text(secured);
}

async function isServed(service: Service, host: string): Promise<void> {
  const { derp = 0, stun = 0, http = 0 } = service.ports;
  assert.match(await askHealth(service, await open(derp, host)), /^HTTP\/1\.1 200 /);
  const { local, mapped } = await askStun({ address: host, port: stun }, AbortSignal.timeout(10_000));
  assert.deepEqual(mapped, local);
  assert.equal(mapped.address, host);
  const plain = await open(http, host);
  plain.write("GET /generate_204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(await text(plain), /^HTTP\/1\.1 204 /);
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** The sockets that a process has open, as Linux names them. */
async function socketsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all(
    (await readdir(folder)).map((fd) => readlink(path.join(folder, fd)).catch(() => "")),
  );
  return links.filter((link) => link.startsWith("socket:"));
}

for (const kind of kinds) {
  const program = kind === "bun" ? findProgram("bun") : process.execPath;
  const skip = whyNoManager() || (program === undefined && whyNotFound.bun);
  const systemdTest = (title: string, run: (t: TestContext) => Promise<void>): void =>
    test(`${kind}: ${title}`, { skip, timeout: 120_000 }, run) as unknown as void;

  systemdTest("once it says READY, a relay serves on its sockets, IPv4 and IPv6 alike", async (t) => {
    const service = await serviceOf(t, kind);
    await service.serve();
    for (const host of families) await isServed(service, host);
    assert.equal(await service.stop(), 0, service.log());
  });

  systemdTest("sockets of IPv4 alone are served, and STUN answers there", async (t) => {
    const service = await serviceOf(t, kind, { address: "127.0.0.1" });
    await service.serve();
    await isServed(service, "127.0.0.1");
    assert.equal(await service.stop(), 0, service.log());
  });

  systemdTest("while it is started again no connection is refused, and who waited is served", async (t) => {
    const service = await serviceOf(t, kind);
    const { derp = 0, stun = 0 } = service.ports;
    await service.serve();
    const over = new AbortController();
    const knocking = (async () => {
      const answers: Promise<string>[] = [];
      while (!over.signal.aborted) {
        answers.push(askHealth(service, await open(derp)).catch(String));
        await timers.setTimeout(knockMs);
      }
      return Promise.all(answers);
    })();
    assert.equal(await service.stop(), 0, service.log());
    const waiting = await Promise.all(Array.from({ length: 200 }, () => open(derp)));
    await service.serve();
    over.abort();
    for (const answer of await Promise.all(waiting.map((socket) => askHealth(service, socket))))
      assert.match(answer, /^HTTP\/1\.1 200 /);
    // A relay that stops may cut those off that it has accepted; it refuses nobody.
    for (const answer of await knocking) assert.doesNotMatch(answer, /ECONNREFUSED/);
    const { local, mapped } = await askStun({ address: "127.0.0.1", port: stun }, t.signal);
    assert.deepEqual(mapped, local);
    assert.equal(await service.stop(), 0, service.log());
  });

  systemdTest("the watchdog is fed by one helper, which has nothing of the relay's", async (t) => {
    const service = await serviceOf(t, kind);
    const { relay, helper } = await service.serve();
    assert.notEqual(helper, relay);
    for (let time = 0; time < 3; time++) assert.equal((await service.told("WATCHDOG=1")).pid, helper);
    const environment = (await readFile(`/proc/${helper}/environ`, "utf8")).split("\0").filter(Boolean);
    const names = environment.map((variable) => variable.split("=", 1)[0]);
    assert.deepEqual(new Set(names), new Set(["PATH", "NOTIFY_SOCKET"]));
    const passed = await Promise.all([3, 4, 5].map((fd) => readlink(`/proc/${relay}/fd/${fd}`)));
    const inherited = await socketsOf(helper);
    assert.ok(inherited.length > 0, "its own, and perhaps its standard input");
    assert.deepEqual(
      passed.filter((socket) => inherited.includes(socket)),
      [],
    );
    assert.equal(await service.stop(), 0, service.log());
  });

  systemdTest("a helper that is killed is replaced, and the relay goes on", async (t) => {
    const service = await serviceOf(t, kind);
    const { helper } = await service.serve();
    process.kill(helper, "SIGKILL");
    let { pid } = await service.told("WATCHDOG=1");
    while (pid === helper) ({ pid } = await service.told("WATCHDOG=1"));
    await isServed(service, "127.0.0.1");
    assert.match(service.log(), /systemd cannot be told how the relay does, until the next try: perl ended/);
    assert.equal(await service.stop(), 0, service.log());
  });

  systemdTest(
    "where there is no perl, a relay serves all the same, and the log says what is missing",
    async (t) => {
      const service = await serviceOf(t, kind);
      await service.launch({ PATH: service.files.folder });
      await isServed(service, "127.0.0.1");
      await eventually("the log says so", () => /systemd cannot be told .*perl/.test(service.log()));
      assert.equal(service.log().match(/systemd cannot be told/g)?.length, 1);
      assert.equal(await service.stop(), 0, service.log());
    },
  );

  systemdTest("it says when it begins to stop, and the helper ends with it", async (t) => {
    const service = await serviceOf(t, kind);
    const { relay, helper } = await service.serve();
    process.kill(relay, "SIGTERM");
    assert.equal((await service.told("STOPPING=1")).pid, helper);
    assert.equal(await service.ended(), 0, service.log());
    await eventually("the helper is gone", () => isGone(helper));
  });

  systemdTest("a relay that is killed takes its helper along", async (t) => {
    const service = await serviceOf(t, kind);
    const { relay, helper } = await service.serve();
    process.kill(relay, "SIGKILL");
    assert.equal(await service.ended(), -9);
    await eventually("the helper is gone", () => isGone(helper));
  });

  systemdTest("an address of the abstract namespace is written to as well", async (t) => {
    const service = await serviceOf(t, kind, { notify: () => `@derpkit-${process.pid}-${kind}` });
    await service.serve();
    assert.equal(await service.stop(), 0, service.log());
  });

  for (const [what, derp, stun, message] of [
    [
      "UDP socket that is named derp",
      "udp",
      "udp",
      /The relay cannot listen on the socket .* descriptor 3\./,
    ],
    ["TCP socket that is named stun", "tcp", "tcp", /STUN cannot use the socket .* descriptor 4\./],
  ] as const)
    systemdTest(`a ${what} ends the start, and the error says which`, async (t) => {
      const sockets = [["derp", derp] as const, ["stun", stun] as const, ["http", "tcp"] as const];
      const service = await serviceOf(t, kind, { sockets });
      await service.launch();
      assert.equal(await service.ended(), 1);
      assert.match(service.log(), message);
      assert.match(service.log(), /\[listen-failed\]/);
    });

  systemdTest("a socket with a name that the relay does not know ends the start", async (t) => {
    const service = await serviceOf(t, kind, { sockets: [["relay.socket", "tcp"]] });
    await service.launch();
    assert.equal(await service.ended(), 1);
    assert.match(service.log(), /"relay\.socket" is passed\. \[sockets-invalid\]/);
  });
}
