import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type CertificatePair, certificatePaths } from "../config/certificate-files.ts";
import { createSelfSigned } from "../crypto/self-signed.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { openFiles, type FileSource } from "./manual.ts";

const hostname = "relay.example";
const now = new Date("2026-01-01T00:00:00Z");
const lastDay = new Date("2026-04-01T00:00:00Z");

function makePair(hostName = hostname, notAfter = lastDay): CertificatePair {
  const made = createSelfSigned({ hostName, notBefore: new Date("2025-12-01T00:00:00Z"), notAfter });
  return { chain: made.certificatePem, key: made.keyPem };
}

async function store(folder: string, { chain, key }: CertificatePair, name = hostname): Promise<void> {
  const paths = certificatePaths(folder, name);
  await mkdir(folder, { recursive: true });
  await writeFile(paths.crt, chain);
  await writeFile(paths.key, key);
}

interface Opened {
  readonly source: FileSource;
  readonly folder: string;
  readonly log: string[];
  /** How often it said that it has changed. */
  readonly told: () => number;
  readonly shown: () => unknown;
}

async function open(t: TestContext, folder = temporaryFolder(t)): Promise<Opened> {
  const log: string[] = [];
  const config = { certMode: "manual", hostname } as const;
  const source = await openFiles({
    config,
    certDir: folder,
    log: (line) => void log.push(line),
    now: () => now,
  });
  let told = 0;
  source.onChange(() => void told++);
  const shown = (): unknown => source.find({ servername: hostname, localAddress: undefined });
  return { source, folder, log, told: () => told, shown };
}

async function openWith(t: TestContext, pair: CertificatePair): Promise<Opened> {
  const folder = temporaryFolder(t);
  await store(folder, pair);
  return open(t, folder);
}

test("a DNS name has to be asked for to the letter", async (t) => {
  const pair = makePair();
  const { source } = await openWith(t, pair);
  const find = (servername?: string): unknown => source.find({ servername, localAddress: "192.0.2.1" });
  assert.deepEqual(find(hostname), pair);
  assert.equal(find(hostname), find(hostname), "the same object each time");
  for (const name of [undefined, "Relay.example", "other.example", `${hostname}.`, `x.${hostname}`])
    assert.equal(find(name), undefined, name);
  assert.equal(source.challenges, undefined);
});

test("with an IP address whoever comes is shown the certificate", async (t) => {
  const config = { certMode: "manual", hostname: "192.0.2.1" } as const;
  const certDir = temporaryFolder(t);
  const source = await openFiles({ config, certDir, log: () => {}, now: () => now });
  for (const servername of [undefined, "any.example"])
    assert.match(JSON.stringify(source.find({ servername, localAddress: undefined })), /BEGIN CERTIFICATE/);
});

test("files that are not there, or not for the host name, are nothing to begin with", async (t) => {
  await assert.rejects(open(t), { code: "certificate-invalid" });
  await assert.rejects(openWith(t, makePair("other.example")), { code: "certificate-invalid" });
});

test("a new pair is taken at the next look, and the log says until when it is valid", async (t) => {
  const { source, folder, log, told, shown } = await openWith(t, makePair());
  await source.look();
  const next = makePair();
  await store(folder, next);
  await source.look();
  assert.deepEqual(shown(), next);
  await source.look();
  assert.equal(told(), 1);
  const { crt } = certificatePaths(folder, hostname);
  assert.deepEqual(log, [
    `${crt}: a new certificate is shown from now on, valid until 2026-04-01T00:00:00.000Z`,
  ]);
});

test("files that are written anew with what they held are no change", async (t) => {
  const pair = makePair();
  const { source, folder, log, told } = await openWith(t, pair);
  await store(folder, pair);
  await source.look();
  await source.reload();
  assert.deepEqual([told(), log], [0, []]);
});

test("a pair of which half is written is reported once, and taken when it is whole", async (t) => {
  const first = makePair();
  const { source, folder, log, told, shown } = await openWith(t, first);
  const next = makePair();
  const paths = certificatePaths(folder, hostname);
  await writeFile(paths.crt, next.chain);
  await source.look();
  await source.look();
  assert.deepEqual([shown(), told()], [first, 0]);
  assert.equal(log.length, 1);
  assert.match(
    log[0] ?? "",
    /^not taken, .* goes on: .*relay\.example\.crt: The certificate does not fit its key/,
  );
  await writeFile(paths.key, next.key);
  await source.look();
  assert.deepEqual([shown(), told(), log.length], [next, 1, 2]);
});

test("whatever becomes of the files, the pair that was taken last goes on", async (t) => {
  const first = makePair();
  const { source, folder, log, told, shown } = await openWith(t, first);
  const paths = certificatePaths(folder, hostname);
  const late = makePair(hostname, new Date("2025-12-31T00:00:00Z"));
  const faults: Record<string, () => Promise<void>> = {
    "is not for relay.example": () => store(folder, makePair("other.example")),
    "is not valid any more": () => store(folder, late),
    "cannot be read": () => writeFile(paths.crt, "-----BEGIN"),
    "does not fit its key": () => store(folder, { ...first, key: "" }),
    "is not there": () => rm(paths.key),
  };
  for (const [fault, spoil] of Object.entries(faults)) {
    await spoil();
    await assert.rejects(source.reload(), { code: "certificate-invalid" }, fault);
    await source.look(); // It was told to whoever had it reloaded.
    assert.deepEqual([shown(), told(), log], [first, 0, []], fault);
  }
  await rm(paths.crt);
  await mkdir(paths.crt);
  await source.look();
  await source.look();
  assert.deepEqual([shown(), log.length], [first, 1]);
  await rm(folder, { recursive: true });
  await source.look();
  const next = makePair();
  await store(folder, next);
  await source.look();
  assert.deepEqual([shown(), told()], [next, 1]);
});

test("a folder or a file behind an exchanged link is a change", async (t) => {
  const root = temporaryFolder(t);
  const [one, other, third] = [makePair(), makePair(), makePair()];
  for (const [name, pair] of Object.entries({ one, other, third })) await store(join(root, name), pair);
  const relink = async (target: string, link: string): Promise<void> => {
    await symlink(target, join(root, "new"));
    await rename(join(root, "new"), join(root, link));
  };
  await relink("one", "data"); // As Kubernetes does it.
  const folder = join(root, "certs");
  await mkdir(folder);
  for (const end of ["crt", "key"])
    await symlink(join("..", "data", `${hostname}.${end}`), join(folder, `${hostname}.${end}`));
  const { source, shown } = await open(t, folder);
  assert.deepEqual(shown(), one);
  await relink("other", "data");
  await source.look();
  assert.deepEqual(shown(), other);
  for (const end of ["crt", "key"]) {
    // As certbot does it.
    await relink(join("..", "third", `${hostname}.${end}`), join("certs", `${hostname}.${end}`));
  }
  await source.look();
  assert.deepEqual(shown(), third);
});

test("looks and reloads at once end with what is in the files", async (t) => {
  const { source, folder, told, shown } = await openWith(t, makePair());
  const next = makePair();
  await store(folder, next);
  await Promise.all([source.look(), source.reload(), source.look()]);
  assert.deepEqual([shown(), told()], [next, 1]);
});
