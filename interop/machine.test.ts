/**
 * A node on a real Debian machine, from its user data to a running relay, and through upgrades good and bad. Needs a machine
 * that can be booted, and Go's clients of Tailscale for the last word.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { cp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import timers from "node:timers/promises";
import { promisify } from "node:util";
import { createSecureContext } from "node:tls";
import { connectRelay } from "../relay/client/connection.ts";
import { RelayFailure } from "../relay/client/failure.ts";
import { generatePrivateKey, type PrivateKey, publicKeyOf, renderNodeKey } from "../relay/crypto/keys.ts";
import { relayBundle } from "../infra/delivery/relay-bundle.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { relayUnit } from "../relay/agent/places.ts";
import { updaterUnit } from "../relay/agent/systemd-service.ts";
import { decodeState, type UpdaterState } from "../relay/updater/state.ts";
import type { NodeResult } from "../scripts/verify/node.ts";
import { Attempts } from "./attempts.ts";
import { eventually } from "./eventually.ts";
import { Herd } from "./herd.ts";
import { hostName, MachineDelivery, node } from "./machine-delivery.ts";
import {
  loggedAt,
  readPin as readPinAt,
  refuses as refusesBy,
  type Relay,
  relayThat,
  runs as runsAt,
  takes,
} from "./machine-relay.ts";
import { sealInUse } from "./machine-secrets.ts";
import { upgradeInUse } from "./machine-upgrade.ts";
import { StunAttempts } from "./stun-attempts.ts";
import { passTailnetChecks, whyNoTailnetCheck } from "./tailnet-check.ts";
import { buildTestMap } from "./test-map.ts";
import { freePort } from "./test-ports.ts";
import { VirtualMachine, whyNoMachine } from "./virtual-machine.ts";

const timeout = 2_400_000;
const launcher = path.join(import.meta.dirname, "../scripts/run.mjs");
const trust = createSecureContext({ minVersion: "TLSv1.2" });

describe("a node on a machine of its own", { skip: whyNoMachine ?? false, timeout }, () => {
  let delivery: MachineDelivery;
  let machine: VirtualMachine;
  let derpPort = 0;
  let stunPort = 0;
  let pin = "";
  const folder = temporaryFolder({ after });

  const readPin = (): Promise<string> => readPinAt(derpPort);
  const runs = (relay: Relay): Promise<void> => runsAt(derpPort, relay);
  const refuses = (code: string): Promise<void> => refusesBy(delivery.server, code);
  const place = () => ({ files: { hostName, pin }, derpPort });

  before(
    async () => {
      delivery = await MachineDelivery.start(path.join(folder, "delivery"), "bun");
      await delivery.publish();
      derpPort = await freePort("tcp");
      stunPort = await freePort("udp");
      machine = await boot();
    },
    { timeout },
  );
  after(async () => {
    await machine[Symbol.asyncDispose]();
    await delivery[Symbol.asyncDispose]();
  });

  const boot = (more: { volume?: string; instance?: string } = {}): Promise<VirtualMachine> =>
    VirtualMachine.boot({
      userData: delivery.userData,
      tcp: { [derpPort]: 443 },
      udp: { [stunPort]: 3478 },
      ...more,
    });

  test("it boots, and its relay serves", { timeout }, async (t) => {
    await runs(await relayBundle());
    pin = await readPin();
    const said = await delivery.server.command("cloud-init status --long; cloud-init schema --system");
    t.diagnostic(said);
    // The image lacks programs that cloud-init looks for by itself; what it was asked for has to be done.
    assert.doesNotMatch(said, /^errors:\n\s+-/m);
    assert.doesNotMatch(said, /write.files|runcmd|scripts.user/);
    assert.match(said, /Valid schema user-data/);
  });

  const mapFile = async (): Promise<string> => {
    const map = buildTestMap([{ name: node, region: 901, hostName, certName: pin, derpPort, stunPort }]);
    const file = path.join(folder, "map.json");
    await writeFile(file, JSON.stringify(map));
    return file;
  };

  test("verify finds nothing wrong with it from outside", { timeout }, async (t) => {
    const { sha256 } = await relayBundle();
    // A forwarder of the emulator's stands between, which verify allows for where it is told of one.
    const detours = [derpPort, stunPort].flatMap((port) => [
      "--connect-to",
      `127.0.0.1:${port}=127.0.0.1:${port}`,
    ]);
    const args = [
      "--derpmap",
      await mapFile(),
      "--expect-bundle",
      sha256,
      "--timeout",
      "60",
      "--json",
      ...detours,
    ];
    const { stdout } = await promisify(execFile)(process.execPath, [launcher, "verify", ...args]);
    const { ok, nodes }: { ok: boolean; nodes: NodeResult[] } = JSON.parse(stdout);
    const checks = nodes.flatMap((result) => result.checks);
    t.diagnostic(checks.map(({ name, status, ms }) => `${name} ${status} ${ms} ms`).join(", "));
    assert.ok(ok);
    assert.deepEqual(
      checks.filter(({ status }) => status !== "passed").map(({ name }) => name),
      [],
    );
  });

  test("Tailscale's clients use it", { timeout, skip: whyNoTailnetCheck }, async (t) => {
    await passTailnetChecks(t, await mapFile(), ["join", "bulk", "ping"]);
  });

  test("an upgrade refuses nobody, and its clients are back within seconds", { timeout }, async (t) => {
    await upgradeInUse(t, delivery, place(), await relayThat("b"));
  });

  test(
    "a release that crashes at its start costs who comes meanwhile a wait, and nobody a refusal",
    { timeout },
    async (t) => {
      const good = await relayThat("steady");
      await delivery.publish({ relay: good });
      await delivery.server.command("systemctl reload derpkit-updater.service");
      await runs(good);
      await using attempts = new Attempts(place());
      await using stun = new StunAttempts(stunPort);
      await delivery.publish({ relay: await relayThat("crash-meanwhile", "process.exit(3);") });
      await delivery.server.command("systemctl reload derpkit-updater.service");
      // Whoever asks the machine how it does meanwhile takes a part of its processor.
      await timers.setTimeout(60_000);
      const back = await loggedAt(delivery.server, updaterUnit, "relay-exited");
      const started = await loggedAt(delivery.server, relayUnit, "Starting derpkit-relay.service");
      const serves = await loggedAt(delivery.server, relayUnit, " serves ");
      await runs(good);
      await refuses("release-failed");
      await stun[Symbol.asyncDispose]();
      const [next = Infinity] = attempts.times.filter((time) => time > back).toSorted((a, b) => a - b);
      t.diagnostic(
        `${attempts.count} logins, ${attempts.failures.length} refused or reset, the slowest ${Math.round(attempts.slowest)} ms`,
      );
      t.diagnostic(
        `after the release was given up the relay before was started within ${Math.round(started - back)} ms, ` +
          `served ${Math.round(serves - started)} ms later, and had a login ${Math.round(next - serves)} ms after that`,
      );
      t.diagnostic(
        `${stun.sent} STUN requests, ${stun.sent - stun.answered} unanswered, the slowest answer ${Math.round(stun.slowest)} ms`,
      );
      assert.deepEqual(attempts.failures, []);
      // How long the relay's own start takes is a matter of the processor, which is emulated.
      const others = next - back - (serves - started);
      assert.ok(others <= 5_000, `beside the relay's start it took ${others} ms until somebody could log in`);
    },
  );

  /** What the updater remembers. */
  const memory = async (): Promise<UpdaterState> =>
    decodeState(Buffer.from(await delivery.server.command("cat /var/lib/derpkit/updater/updater.json")));

  test(
    "A, then B, then A again is three releases, and the third is fetched from nowhere",
    { timeout },
    async () => {
      const [a, b] = [await relayThat("to-and-fro-a"), await relayThat("to-and-fro-b")];
      const install = async (relay: Relay): Promise<UpdaterState> => {
        await delivery.publish({ relay });
        await delivery.server.command("systemctl reload derpkit-updater.service");
        await runs(relay);
        await eventually("it has proven itself", async () => (await memory()).trial === undefined);
        return memory();
      };
      const first = await install(a);
      const second = await install(b);
      const fetched: string[] = [];
      delivery.server.trouble = (file) => fetched.push(path.basename(file)) === 0;
      const third = await install(a);
      delivery.server.trouble = () => false;
      const sequences = [first, second, third].map(({ accepted }) => accepted?.sequence ?? 0);
      assert.deepEqual(
        sequences,
        [0, 1, 2].map((more) => (sequences[0] ?? 0) + more),
      );
      assert.notEqual(second.good, first.good);
      assert.deepEqual(
        [third.good, third.previous, third.failed],
        [first.good, second.good, undefined],
        "the third release is the first, and the second is gone back to from it",
      );
      assert.deepEqual(new Set(fetched), new Set(["manifest.json", "manifest.sig"]));
    },
  );

  test("another list of who may connect is in force without a restart", { timeout }, async (t) => {
    const members = Array.from({ length: 10 }, generatePrivateKey);
    const leaver = generatePrivateKey();
    const listOf = (keys: readonly PrivateKey[]): string[] =>
      keys.map((key) => renderNodeKey(publicKeyOf(key)));
    const publish = async (keys: readonly PrivateKey[], bytesPerSecond: number): Promise<void> => {
      await delivery.publish({ relay, allow: listOf(keys), clientRate: { bytesPerSecond } });
      await takes(delivery);
    };
    const mainPid = "systemctl show -P MainPID derpkit-relay.service";
    const relay = await relayThat("listed");
    await publish([...members, leaver], 10_000_000);
    await runs(relay);
    await using herd = new Herd(place());
    herd.add(members);
    await herd.becomes(members.length, AbortSignal.timeout(60_000));
    await logIn(leaver);
    const first = await delivery.server.command(mainPid);

    await publish(members, 5_000_000);
    assert.equal(await delivery.server.command(mainPid), first);
    await assert.rejects(logIn(leaver), RelayFailure);
    assert.equal(await herd.ping(AbortSignal.timeout(20_000)), members.length);
    assert.deepEqual([herd.failures, herd.longestGap], [0, 0]);
    const said = await delivery.server.command(
      "journalctl -u derpkit-relay.service --no-pager -o cat -n 20; readlink -f /opt/derpkit/current; cat /run/derpkit/running",
    );
    t.diagnostic(said);
    assert.match(said, /read again: admission and rate config/);
    assert.match(said, /is not let in: the key is not on the allow-list/);
    assert.match(said, /^(\/opt\/derpkit\/releases\/[0-9a-f]{64})\n\1$/m);

    // A relay that is started while nothing can be fetched has the list too.
    delivery.server.trouble = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    await delivery.server.command("systemctl restart derpkit-relay.service");
    await herd.becomes(members.length, AbortSignal.timeout(120_000));
    assert.notEqual(await delivery.server.command(mainPid), first);
    await assert.rejects(logIn(leaver), RelayFailure);
    delivery.server.trouble = () => false;
  });

  /** Logs in and leaves. @throws RelayFailure */
  async function logIn(privateKey: PrivateKey): Promise<void> {
    const identity = { hostName, certName: pin };
    const endpoint = { address: "127.0.0.1", port: derpPort };
    const signal = AbortSignal.timeout(20_000);
    await using _ = await connectRelay({ endpoint, identity, trust, privateKey, signal });
  }

  const bad: Readonly<Record<string, readonly [code: string, offer: () => Promise<unknown>]>> = {
    "starts and does not serve": [
      "relay-not-ready",
      async () => delivery.publish({ relay: await relayThat("sick", 'process.argv.push("-stun=false");') }),
    ],
    "is signed by a stranger": [
      "manifest-signature",
      async () =>
        delivery.publish({ relay: await relayThat("c"), key: generateKeyPairSync("ed25519").privateKey }),
    ],
    "is not what the manifest says": [
      "bundle-tampered",
      async () => {
        await delivery.publish({ relay: await relayThat("d") });
        await writeFile(path.join(delivery.folder, "relay.mjs"), "tampered");
      },
    ],
    "is another node's": [
      "manifest-foreign",
      async () => delivery.publish({ relay: await relayThat("e"), node: "901z" }),
    ],
    "breaks off on the way": [
      "delivery-unreadable",
      async () => {
        await delivery.publish({ relay: await relayThat("f") });
        delivery.server.trouble = (file, response) => {
          if (!file.endsWith("relay.mjs")) return false;
          response.writeHead(200, { "Content-Length": "500000" });
          response.write("half", () => response.destroy());
          return true;
        };
      },
    ],
    "is at a store that is down": [
      "delivery-unreadable",
      async () => {
        delivery.server.trouble = (_, response) => {
          response.writeHead(503).end();
          return true;
        };
      },
    ],
    "finds no room on the disk": [
      "file-unreadable",
      async () => {
        // Most of it at once; and as the system's own logs make room when there is none, the rest again and again.
        const [free, size] = ["$(stat -f -c %f /)", "$(stat -f -c %S /)"];
        await delivery.server.command(
          `fallocate -l $(((${free} - 8192) * ${size})) /opt/filler; ` +
            `systemd-run --unit=filler sh -c 'while :; do dd if=/dev/zero bs=4k oflag=append conv=notrunc of=/opt/filler; sleep 0.2; done'; ` +
            `while dd if=/dev/zero bs=4k count=16 of=/opt/probe; do sleep 0.2; done; rm -f /opt/probe`,
        );
        // Only then: the updater also looks when nobody tells it to.
        await delivery.publish({ relay: await relayThat("g") });
      },
    ],
  };

  for (const [what, [code, offer]] of Object.entries(bad)) {
    test(`a release that ${what} leaves the one before running, and says why`, { timeout }, async (t) => {
      const good = await relayThat("good");
      await delivery.publish({ relay: good });
      await delivery.server.command("systemctl reload derpkit-updater.service");
      await runs(good);
      await using attempts = new Attempts(place());
      try {
        await offer();
        await refuses(code);
        await runs(good);
        await eventually("somebody logs in", () => attempts.count > 0);
      } finally {
        delivery.server.trouble = () => false;
        await delivery.server.command("systemctl stop filler.service; rm -f /opt/filler");
      }
      t.diagnostic(
        `${attempts.count} logins, ${attempts.failures.length} failed, the slowest ${Math.round(attempts.slowest)} ms`,
      );
      assert.deepEqual(attempts.failures, []);
    });
  }

  test(
    "an old manifest is refused, also by a machine that is new; what a node is outlives its machine",
    { timeout },
    async () => {
      const old = path.join(folder, "old");
      await delivery.publish({ relay: await relayThat("h") });
      await cp(delivery.folder, old, { recursive: true });
      const now = await relayThat("i");
      // The new machine boots with units that want a secret, and nobody has sealed any.
      await delivery.publish({ relay: now, sealed: true });
      await delivery.server.command("systemctl reload derpkit-updater.service");
      await runs(now);
      const key = await delivery.server.command("sha256sum /var/lib/derpkit/relay/derper.key");
      const current = path.join(folder, "current");
      await cp(delivery.folder, current, { recursive: true });
      await cp(old, delivery.folder, { recursive: true });
      await refuses("manifest-replayed");
      await runs(now);

      const volume = machine.kill();
      machine = await boot({ volume, instance: "i-2" });
      await eventually("the new machine says that it is older", () =>
        machine.console().includes("has been accepted already"),
      );
      await cp(current, delivery.folder, { recursive: true });
      await runs(now);
      assert.equal(await readPin(), pin);
      assert.equal(await delivery.server.command("sha256sum /var/lib/derpkit/relay/derper.key"), key);
    },
  );

  test("another runtime and another updater take over without another machine", { timeout }, async () => {
    const bootId = await delivery.server.command("cat /proc/sys/kernel/random/boot_id");
    const { code } = await delivery.publish({
      runtime: "node",
      updater: { code: await otherUpdater() },
      sealed: true,
    });
    await delivery.server.command("systemctl reload derpkit-updater.service");
    await runs({ code, version: "" });
    const exe = "readlink /proc/$(systemctl show -P MainPID derpkit-relay.service)/exe";
    await eventually("the updater runs on it too", async () =>
      (await delivery.server.command("journalctl -u derpkit-updater -n 50 -o cat")).includes(
        "another updater",
      ),
    );
    assert.match(
      await delivery.server.command(`${exe}; $(${exe}) --version`),
      /runtimes\/[0-9a-f]{64}\/runtime\nv24\./,
    );
    assert.equal(await delivery.server.command("cat /proc/sys/kernel/random/boot_id"), bootId);
  });

  test("what is sealed to its relay is there, and nowhere in clear", { timeout }, async () => {
    await sealInUse(delivery);
  });

  test("its system has its settings", { timeout }, async () => {
    const said = await delivery.server.command(
      "sysctl -n net.ipv4.tcp_max_syn_backlog; cat /etc/apt/apt.conf.d/60-derpkit /etc/systemd/journald.conf.d/60-derpkit.conf",
    );
    assert.match(said, /^8192\n[^]*Automatic-Reboot-Time "0[2-4]:\d\d"[^]*SystemMaxUse=200M/);
  });

  test("its units are sound, and the relay is exposed to little", { timeout }, async (t) => {
    const said = await delivery.server.command(
      "systemd-analyze verify /etc/systemd/system/derpkit-*; systemd-analyze security --no-pager derpkit-relay.service | tail -n 1",
    );
    t.diagnostic(said);
    const [, exposure = "10"] = /exposure level for derpkit-relay\.service: (\d+\.\d+)/.exec(said) ?? [];
    assert.ok(Number(exposure) <= 1.5, said);
    assert.doesNotMatch(said, /derpkit-[a-z-]+\.(?:service|socket|timer):.*(?:Unknown|Failed|not found)/);
  });

  /** The updater, which says of itself that it is another. */
  async function otherUpdater(): Promise<Buffer> {
    const code = await readFile(path.join(delivery.folder, "updater.mjs"), "utf8");
    return Buffer.from(`process.stderr.write("another updater\\n");\n${code}`);
  }
});
