import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { certificatePaths } from "../config/certificate-files.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { openPinned } from "./pinned.ts";

interface Started {
  readonly log: readonly string[];
  /** The chain that a name is shown; undefined for one that is refused. */
  readonly shown: (servername?: string) => string | undefined;
}

/** A folder, and a relay's starts on it at hours of a clock. */
function machine(t: TestContext) {
  const folder = temporaryFolder(t);
  const clock = { hours: 0 };
  const now = (): Date => new Date(Date.UTC(2026, 0, 1) + clock.hours * 3_600_000);
  const start = async (hostname: string, hours = clock.hours): Promise<Started> => {
    clock.hours = hours;
    const log: string[] = [];
    const config = { certMode: "pinned", hostname } as const;
    const source = await openPinned({ config, certDir: folder, log: (line) => void log.push(line), now });
    const shown: Started["shown"] = (servername) => {
      const found = source.find({ servername, localAddress: undefined });
      assert.ok(!(found instanceof Promise));
      return found?.chain;
    };
    return { log, shown };
  };
  const chain = (hostname: string): Promise<string> =>
    readFile(certificatePaths(folder, hostname).crt, "utf8");
  return { folder, clock, start, chain, memory: join(folder, "derpkit", "pinned.json") };
}

test("after a rotation both names are served, the old one for 24 h and without a restart at its end", async (t) => {
  const { clock, start, chain } = machine(t);
  const before = await start("a.example");
  assert.deepEqual(before.log, []);
  assert.equal(before.shown("a.example"), await chain("a.example"));
  const { shown, log } = await start("b.example", 10);
  const [a, b] = [await chain("a.example"), await chain("b.example")];
  assert.notEqual(a, b);
  assert.deepEqual([shown("a.example"), shown("b.example")], [a, b]);
  assert.deepEqual([shown(), shown("A.example"), shown("c.example")], [undefined, undefined, undefined]);
  assert.deepEqual(log, [
    "a.example is served as well, until 2026-01-02T10:00:00.000Z: clients may have the old map as long",
  ]);
  clock.hours = 33.99;
  assert.deepEqual([shown("a.example"), shown("b.example")], [a, b]);
  clock.hours = 34;
  assert.deepEqual([shown("a.example"), shown("b.example")], [undefined, b]);
});

test("a restart within that time serves both again, and one after it the new name alone", async (t) => {
  const { start, chain } = machine(t);
  await start("a.example");
  await start("b.example", 1);
  const [a, b] = [await chain("a.example"), await chain("b.example")];
  const again = await start("b.example", 20);
  assert.deepEqual([again.shown("a.example"), again.shown("b.example")], [a, b]);
  const late = await start("b.example", 26);
  assert.deepEqual([late.shown("a.example"), late.shown("b.example"), late.log], [undefined, b, []]);
});

test("a rotation back shows each name by the certificate that it had", async (t) => {
  const { start, chain } = machine(t);
  await start("a.example");
  await start("b.example", 1);
  const [a, b] = [await chain("a.example"), await chain("b.example")];
  const back = await start("a.example", 2);
  assert.deepEqual([back.shown("a.example"), back.shown("b.example")], [a, b]);
  const forth = await start("b.example", 3);
  assert.deepEqual([forth.shown("a.example"), forth.shown("b.example")], [a, b]);
});

test("the memory is for its owner alone", async (t) => {
  const { start, memory } = machine(t);
  await start("a.example");
  assert.equal((await stat(memory)).mode & 0o777, 0o600);
});

test("from an IP address there is a cut, and the log says so", async (t) => {
  const { start, chain } = machine(t);
  await start("192.0.2.1");
  const { shown, log } = await start("192.0.2.2", 1);
  assert.equal(shown(), await chain("192.0.2.2"));
  assert.equal(log.length, 1);
  assert.match(
    log[0] ?? "",
    /^192\.0\.2\.1 is served no more: an IP address as HostName cannot rotate without a cut/,
  );
  const named = await start("a.example", 2);
  assert.deepEqual([named.shown(), named.shown("a.example")], [undefined, await chain("a.example")]);
  assert.match(named.log.join("\n"), /^192\.0\.2\.2 is served no more: /);
});

test("a name that gives way to an IP address is served beside it, as its clients send it", async (t) => {
  const { start, chain } = machine(t);
  await start("a.example");
  const { shown, log } = await start("192.0.2.1", 1);
  const [a, ip] = [await chain("a.example"), await chain("192.0.2.1")];
  assert.deepEqual([shown("a.example"), shown(), shown("any.example")], [a, ip, ip]);
  assert.match(log.join("\n"), /^the host name is 192\.0\.2\.1 from now on: .* without a cut/);
});

test("a broken memory is logged and begins anew; the current name is served", async (t) => {
  const { start, chain, memory } = machine(t);
  await start("a.example");
  for (const text of ["", '{"served":"a.exam', "[]"]) {
    await writeFile(memory, text);
    const { shown, log } = await start("b.example");
    assert.deepEqual([shown("b.example"), shown("a.example")], [await chain("b.example"), undefined]);
    assert.deepEqual(log, [
      `${memory}: cannot be made sense of, and begins anew: a host name from before is not served any more`,
    ]);
    assert.deepEqual((await start("b.example")).log, []);
  }
});

test("a memory that can be neither read nor written keeps no relay from its name", async (t) => {
  const { start, chain, folder } = machine(t);
  await start("a.example");
  await rm(join(folder, "derpkit"), { recursive: true });
  await writeFile(join(folder, "derpkit"), "in the way");
  const { shown, log } = await start("b.example");
  assert.equal(shown("b.example"), await chain("b.example"));
  assert.match(log.join("\n"), /cannot be remembered: its next change will be a cut\. \[file-unreadable\]/);
  assert.doesNotMatch(log.join("\n"), /BEGIN/);
});

test("without the old pair the new name is served alone", async (t) => {
  const { start, chain, folder } = machine(t);
  await start("a.example");
  await rm(certificatePaths(folder, "a.example").key);
  const { shown, log } = await start("b.example");
  assert.deepEqual([shown("a.example"), shown("b.example")], [undefined, await chain("b.example")]);
  assert.match(log.join("\n"), /^a\.example is served no more, though clients may have the old map: /);
});
