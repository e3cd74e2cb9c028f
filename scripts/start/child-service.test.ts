import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createSecureContext } from "node:tls";
import { KitError } from "../../relay/errors.ts";
import type { Release, Service } from "../../relay/updater/service.ts";
import { createChildService } from "./child-service.ts";

/** A service whose release is a program of ours in place of a relay, and what it reports. */
async function serviceFor(t: TestContext, code: string) {
  const folder = await mkdtemp(join(tmpdir(), "derpkit-service-"));
  const file = join(folder, "relay.mjs");
  await writeFile(file, code);
  const lines: string[] = [];
  const deaths: KitError[] = [];
  const said = Promise.withResolvers<void>();
  const service: Service = createChildService({
    node: "901a",
    // Nobody listens there: port 9 is discard's, and the release below speaks no TLS anyway.
    route: {
      endpoint: { address: "127.0.0.1", port: 9 },
      identity: { hostName: "a.example", certName: `sha256-raw:${"0".repeat(64)}` },
      trust: createSecureContext(),
    },
    stateDirectory: join(folder, "state"),
    stopWithinMs: 200,
    log: (line) => {
      lines.push(line);
      said.resolve();
    },
    died: (error) => deaths.push(error),
  });
  t.after(async () => {
    await service.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const names = { digest: "d", version: "1", sha256: "s", processDigest: "p" };
  const release: Release = { ...names, folder, code: file, config: "c.json" };
  return { service, release, lines, deaths, said: said.promise };
}

const stays = "console.error(process.cwd(), ...process.argv.slice(2)); setInterval(() => {}, 1000);";

test("a relay is started in its state folder, with its config, and ends with its standard input", async (t) => {
  const { service, release, lines, said, deaths } = await serviceFor(t, stays);
  await service.start(release);
  await said;
  assert.match(lines[0] ?? "", /state -config c\.json -exit-on-stdin-end$/);
  await service.stop();
  assert.equal(deaths.length, 0, "it was asked to stop");
});

test("a relay that does not heed SIGTERM is killed", async (t) => {
  const { service, release, said } = await serviceFor(t, `process.on("SIGTERM", () => {}); ${stays}`);
  await service.start(release);
  await said;
  await service.stop();
});

test("that a relay ends before it was healthy is told to who waits for that, with its exit status and its last words", async (t) => {
  const { service, release, deaths } = await serviceFor(
    t,
    'console.error("out of luck"); process.exitCode = 7;',
  );
  await service.start(release);
  await assert.rejects(service.healthy(release, new AbortController().signal), (error) => {
    assert.ok(error instanceof KitError && error.code === "relay-exited");
    assert.match(error.message, /exit status 7/);
    assert.match(error.problems[0]?.message ?? "", /out of luck/);
    return true;
  });
  assert.equal(deaths.length, 0);
});

test("a relay that is not healthy when time is up is so reported, with the reason", async (t) => {
  const { service, release, said } = await serviceFor(t, stays);
  await service.start(release);
  await said;
  const waited = new AbortController();
  const healthy = service.healthy(release, waited.signal);
  waited.abort();
  await assert.rejects(healthy, (error) => error instanceof KitError && error.code === "relay-not-ready");
});
