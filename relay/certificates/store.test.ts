import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import * as nodeFs from "node:fs/promises";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { identify } from "../acme/identifier.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { buildExtension, buildName } from "../crypto/certificate.ts";
import * as der from "../crypto/der.ts";
import { renderPem } from "../crypto/pem.ts";
import { createSelfSigned } from "../crypto/self-signed.ts";
import { KitError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { initialState } from "./state.ts";
import { describePair, type FileSystem, openStore, type Store } from "./store.ts";

const withoutModes = process.platform === "win32" && "no modes";
const hosts = ["relay.example", "192.0.2.1", "2001:db8::1"] as const;
const day = 86_400_000;
const begin = Date.parse("2026-01-01T00:00:00Z");

/** @param age the days by which it begins later than others */
function makePair(hostName: string, age = 0): CertificatePair {
  const notBefore = new Date(begin + age * day);
  const notAfter = new Date(begin + (age + 90) * day);
  const { certificatePem, keyPem } = createSelfSigned({ hostName, notBefore, notAfter });
  return { chain: certificatePem, key: keyPem };
}

function open(folder: string, host: string, fs?: FileSystem): Store {
  return openStore(folder, identify(host), fs);
}

function freshStore(t: TestContext, host: string): Store {
  return open(path.join(temporaryFolder(t), "certs"), host);
}

async function read(store: Store): Promise<CertificatePair | undefined> {
  const { pair, faults } = await store.readPair();
  assert.deepEqual(faults, []);
  return pair;
}

async function modeOf(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

test("a pair is stored and read again, also by the next process, and replaces the one before", async (t) => {
  for (const host of hosts) {
    const store = freshStore(t, host);
    assert.equal(await read(store), undefined, "in a folder that is not there yet");
    for (const age of [0, 60]) {
      const pair = makePair(host, age);
      await store.writePair(pair);
      assert.deepEqual(await read(store), pair);
      assert.deepEqual(await read(open(store.files.folder, host)), pair);
    }
  }
});

test("a DNS name's file is one that autocert takes: key, chain, and nothing behind", async (t) => {
  const store = freshStore(t, "relay.example");
  const { key, chain } = makePair("relay.example");
  const issuer = makePair("issuer.example").chain;
  await store.writePair({ key: `\n${key}\n\n`, chain: `# text\n${chain}\n${issuer}\n\n` });
  const text = await readFile(path.join(store.files.folder, "relay.example"), "utf8");
  assert.equal(text, key + chain + issuer);
  assert.deepEqual((await readdir(store.files.folder)).sort(), ["derpkit", "relay.example"]);
});

test("an address has two files and nothing is left beside them", async (t) => {
  const store = freshStore(t, "2001:db8::1");
  const { key, chain } = makePair("2001:db8::1");
  await store.writePair({ key, chain });
  assert.deepEqual((await readdir(store.files.folder)).sort(), [
    "2001.db8..1.crt",
    "2001.db8..1.key",
    "derpkit",
  ]);
  assert.deepEqual(await readdir(store.files.own), []);
  assert.equal(await readFile(path.join(store.files.folder, "2001.db8..1.key"), "utf8"), key);
});

test(
  "keys are their owner's alone, and so are the folders that are made",
  { skip: withoutModes },
  async (t) => {
    const [name, ip] = [freshStore(t, "relay.example"), freshStore(t, "192.0.2.1")];
    for (const store of [name, ip]) {
      await store.writePair(makePair(store === name ? "relay.example" : "192.0.2.1"));
      await store.accountKey();
      await store.writeState(initialState("relay.example", ""));
      assert.deepEqual([await modeOf(store.files.folder), await modeOf(store.files.own)], [0o700, 0o700]);
      assert.deepEqual(
        [await modeOf(store.files.accountKey), await modeOf(store.files.state)],
        [0o600, 0o600],
      );
    }
    assert.equal(await modeOf(path.join(name.files.folder, "relay.example")), 0o600);
    assert.equal(await modeOf(path.join(ip.files.folder, "192.0.2.1.key")), 0o600);
  },
);

test("keys in SEC1 and PKCS#8 are read, behind parameters or not", async (t) => {
  const pair = makePair("relay.example");
  const key = createPrivateKey(pair.key);
  const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  for (const pem of [
    key.export({ type: "sec1", format: "pem" }).toString(),
    key.export({ type: "pkcs8", format: "pem" }).toString(),
    parameters + pair.key,
    pair.key.replaceAll("\n", "\r\n"),
  ]) {
    const store = freshStore(t, "relay.example");
    await mkdir(store.files.folder, { recursive: true });
    await writeFile(path.join(store.files.folder, "relay.example"), pem + pair.chain);
    const found = await read(store);
    assert.ok(found && createPrivateKey(found.key).equals(key));
  }
});

/** A certificate with an RSA key, of an issuer with another one. */
function makeRsaPair(hostName: string): CertificatePair {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const issuer = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const algorithm = der.sequence(der.objectIdentifier("1.2.840.10045.4.3.2"));
  const name = der.sequence(der.implicit(2, Buffer.from(hostName)));
  const body = der.sequence(
    der.explicit(0, der.unsignedInteger(Buffer.of(2))),
    der.unsignedInteger(randomBytes(16)),
    algorithm,
    buildName(der.utf8String("issuer")),
    der.sequence(der.time(new Date(begin)), der.time(new Date(begin + 90 * day))),
    buildName(der.utf8String(hostName)),
    publicKey.export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(buildExtension("2.5.29.17", false, name))),
  );
  const certificate = der.sequence(body, algorithm, der.bitString(sign("sha256", body, issuer)));
  const key = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  return { key, chain: renderPem("CERTIFICATE", certificate) };
}

test("an RSA certificate that derper stored is read, and its second one for want of the first", async (t) => {
  const rsa = makeRsaPair("relay.example");
  assert.match(rsa.key, /^-----BEGIN RSA PRIVATE KEY-----/);
  for (const name of ["relay.example", "relay.example+rsa"]) {
    const store = freshStore(t, "relay.example");
    await mkdir(store.files.folder, { recursive: true });
    await writeFile(path.join(store.files.folder, name), rsa.key + rsa.chain);
    assert.deepEqual(await read(store), rsa);
    const pair = makePair("relay.example");
    await store.writePair(pair);
    assert.deepEqual(await read(store), pair);
  }
});

test("what cannot be used is reported, treated as none, and left where it is", async (t) => {
  const [one, other] = [makePair("relay.example"), makePair("relay.example")];
  const foreign = makePair("other.example");
  for (const [text, fault] of [
    ["", /cannot be read/],
    ["garbage", /cannot be read/],
    [one.key, /cannot be read/],
    [one.chain, /does not fit its key/],
    [other.key + one.chain, /does not fit its key/],
    [one.key + one.chain.slice(0, 200), /cannot be read/],
    [foreign.key + foreign.chain, /is not for relay.example: it names DNS:other.example/],
  ] as const) {
    const store = freshStore(t, "relay.example");
    const file = path.join(store.files.folder, "relay.example");
    await mkdir(store.files.folder, { recursive: true });
    await writeFile(file, text);
    const { pair, faults } = await store.readPair();
    assert.equal(pair, undefined);
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? "", fault);
    assert.ok(faults[0]?.startsWith(file) && !faults[0].includes("PRIVATE"));
    assert.equal(await readFile(file, "utf8"), text);
  }
});

test("of an address's two files one alone, or two that do not fit, are none", async (t) => {
  const [one, other] = [makePair("192.0.2.1"), makePair("192.0.2.1")];
  for (const [crt, key] of [
    [one.chain, undefined],
    [undefined, one.key],
    [one.chain, other.key],
  ] as const) {
    const store = freshStore(t, "192.0.2.1");
    await mkdir(store.files.folder, { recursive: true });
    if (crt !== undefined) await writeFile(path.join(store.files.folder, "192.0.2.1.crt"), crt);
    if (key !== undefined) await writeFile(path.join(store.files.folder, "192.0.2.1.key"), key);
    const { pair, faults } = await store.readPair();
    assert.deepEqual([pair, faults.length], [undefined, 1]);
  }
});

test("a certificate that has ended is a pair as well: its days are the keeper's affair", async (t) => {
  const store = freshStore(t, "relay.example");
  const pair = makePair("relay.example", -10_000);
  await store.writePair(pair);
  assert.deepEqual(await read(store), pair);
  const { notBefore, notAfter, digest } = describePair(pair);
  assert.deepEqual([notBefore, notAfter], [begin - 10_000 * day, begin - 9_910 * day]);
  assert.match(digest, /^[0-9a-f]{64}$/);
});

test("a new pair that does not fit, or is for others, is refused and the old one stays", async (t) => {
  for (const host of hosts) {
    const store = freshStore(t, host);
    const good = makePair(host);
    await store.writePair(good);
    for (const bad of [
      { ...makePair(host), key: good.key },
      makePair("other.example"),
      { chain: "", key: "" },
    ])
      await assert.rejects(store.writePair(bad), { code: "certificate-invalid" });
    assert.deepEqual(await read(store), good);
  }
});

/** Counts what is done to the disk, and fails it from some call on: for good, as if killed, or that one. */
function fuse(step: number, error: Error, forGood: boolean): { fs: FileSystem; readonly blown: boolean } {
  let left = step;
  const call = <T>(action: () => Promise<T>): Promise<T> => {
    left -= 1;
    return left === 0 || (left < 0 && forGood) ? Promise.reject(error) : action();
  };
  const guardHandle = (handle: nodeFs.FileHandle): nodeFs.FileHandle => {
    const [write, sync] = [handle.writeFile.bind(handle), handle.sync.bind(handle)];
    handle.writeFile = (...args) => call(() => write(...args));
    handle.sync = () => call(sync);
    return handle;
  };
  return {
    fs: {
      mkdir: ((...args: Parameters<typeof mkdir>) => call(() => mkdir(...args))) as typeof mkdir,
      open: (...args) => call(async () => guardHandle(await nodeFs.open(...args))),
      rename: (...args) => call(() => nodeFs.rename(...args)),
      rm: (...args) => call(() => rm(...args)),
    },
    get blown() {
      return left <= 0;
    },
  };
}

class Killed extends Error {}

test("a process that is killed at any step of storing leaves the old pair or the new one, whole", async (t) => {
  for (const host of hosts) {
    const [old, renewed] = [makePair(host), makePair(host, 60)];
    const seen = new Set<string>();
    let step = 0;
    for (let isOver = false; !isOver;) {
      step += 1;
      const { files } = freshStore(t, host);
      await open(files.folder, host).writePair(old);
      const { fs } = fuse(step, new Killed(), true);
      isOver = await open(files.folder, host, fs)
        .writePair(renewed)
        .then(
          () => true,
          (error: unknown) => assert.ok(error instanceof Killed) ?? false,
        );
      const next = open(files.folder, host);
      const { pair } = await next.readPair();
      assert.ok(pair?.key === old.key || pair?.key === renewed.key, `${host}, step ${step}`);
      seen.add(pair.key === old.key ? "old" : "new");
      await next.writePair(renewed);
      assert.deepEqual(await read(next), renewed, "and the next process goes on from there");
      assert.deepEqual(await readdir(files.own), []);
    }
    assert.ok(step > 6);
    assert.deepEqual([...seen], ["old", "new"]);
  }
});

test("a disk that is full at any step is a clear error, and a pair stays that can be used", async (t) => {
  const full = Object.assign(new Error("no space left on device"), {
    code: "ENOSPC",
    syscall: "write",
    errno: -28,
  });
  for (const host of hosts) {
    const [old, renewed] = [makePair(host), makePair(host, 60)];
    let failures = 0;
    for (let step = 1, blown = true; blown; step += 1) {
      const { files } = freshStore(t, host);
      await open(files.folder, host).writePair(old);
      const broken = fuse(step, full, false);
      const error: unknown = await open(files.folder, host, broken.fs)
        .writePair(renewed)
        .catch((reason: unknown) => reason);
      blown = broken.blown;
      if (error !== undefined) {
        failures += 1;
        assert.ok(error instanceof KitError && error.code === "certificate-store" && error.cause === full);
      }
      const { pair } = await open(files.folder, host).readPair();
      assert.ok(pair?.key === old.key || pair?.key === renewed.key, `${host}, step ${step}`);
    }
    assert.ok(failures > 4);
  }
});

test("a journal that was left is no match for what derper stored since", async (t) => {
  const { files } = freshStore(t, "192.0.2.1");
  const [left, since] = [makePair("192.0.2.1", 60), makePair("192.0.2.1", 120)];
  await mkdir(files.own, { recursive: true });
  await writeFile(files.journal, left.key + left.chain);
  assert.deepEqual(await read(open(files.folder, "192.0.2.1")), left);
  await writeFile(path.join(files.folder, "192.0.2.1.crt"), since.chain);
  await writeFile(path.join(files.folder, "192.0.2.1.key"), since.key);
  assert.deepEqual(await read(open(files.folder, "192.0.2.1")), since);
});

test("a folder with room passes the probe, and nothing is left of it", async (t) => {
  const store = freshStore(t, "relay.example");
  await store.probe();
  await store.probe();
  assert.deepEqual(await readdir(store.files.folder), ["derpkit"]);
  assert.deepEqual(await readdir(store.files.own), []);
});

test("a folder without room, or that cannot be written, is a clear error before an order is made", async (t) => {
  const { files } = freshStore(t, "relay.example");
  for (const [code, syscall] of [
    ["ENOSPC", "write"],
    ["EROFS", "open"],
    ["EACCES", "mkdir"],
    ["EDQUOT", "write"],
  ] as const) {
    const cause = Object.assign(new Error(code), { code, syscall });
    for (const step of [1, 2, 3, 4, 5, 6]) {
      const { fs } = fuse(step, cause, false);
      await assert.rejects(open(files.folder, "relay.example", fs).probe(), {
        code: "certificate-store",
        where: files.folder,
        message: "There is no room for a new certificate, so none is ordered.",
        cause,
      });
    }
  }
});

test("a file in the place of the folder is an error to the probe and to what is stored", async (t) => {
  const folder = path.join(temporaryFolder(t), "certs");
  await writeFile(folder, "");
  const store = open(folder, "relay.example");
  const shown = { code: "certificate-store" };
  await assert.rejects(store.probe(), shown);
  await assert.rejects(store.writePair(makePair("relay.example")), shown);
  await assert.rejects(store.writeState(initialState("relay.example", "")), shown);
  await assert.rejects(store.accountKey(), shown);
});

test("an account key is made once, on the curve that derper's have", async (t) => {
  for (const host of hosts) {
    const store = freshStore(t, host);
    const [key, again] = await Promise.all([store.accountKey(), store.accountKey()]);
    assert.ok(key.equals(again) && key.equals(await open(store.files.folder, host).accountKey()));
    assert.equal(key.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.match(await readFile(store.files.accountKey, "utf8"), /^-----BEGIN EC PRIVATE KEY-----/);
  }
});

test("an account key that cannot be read is an error: a new one would be another account", async (t) => {
  const store = freshStore(t, "relay.example");
  await mkdir(store.files.folder, { recursive: true });
  const key = generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey;
  const text = key.export({ type: "pkcs8", format: "pem" }).toString();
  await writeFile(store.files.accountKey, text);
  assert.ok((await store.accountKey()).equals(key), "of any kind");
  await writeFile(store.files.accountKey, text.slice(0, 200));
  await assert.rejects(store.accountKey(), (error: unknown) => {
    assert.ok(error instanceof KitError && error.code === "file-unreadable" && error.cause === undefined);
    assert.ok(!JSON.stringify([error.message, error.fix]).includes(text.slice(30, 60)));
    return true;
  });
  assert.equal(await readFile(store.files.accountKey, "utf8"), text.slice(0, 200));
});

test("what is remembered is read again; what cannot be understood begins anew and says so", async (t) => {
  const store = freshStore(t, "relay.example");
  const fresh = initialState("relay.example", "settings");
  assert.deepEqual(await store.readState("settings"), { state: fresh, fault: undefined });
  const known = { ...fresh, failures: 3 };
  await store.writeState(known);
  assert.deepEqual(await store.readState("other settings"), { state: known, fault: undefined });
  for (const text of ["", "{", JSON.stringify({ ...known, version: 9 })]) {
    await writeFile(store.files.state, text);
    const { state, fault } = await store.readState("settings");
    assert.deepEqual(state, fresh);
    assert.match(fault ?? "", /relay\.example\.json: .* it begins anew\.$/);
  }
});

test("files that are there and cannot be read are an error, not nothing", async (t) => {
  for (const host of hosts) {
    const store = freshStore(t, host);
    const { certificate, state } = store.files;
    await mkdir(certificate.layout === "one-file" ? certificate.file : certificate.key, { recursive: true });
    await mkdir(state, { recursive: true });
    await assert.rejects(store.readPair(), { code: "file-unreadable" });
    await assert.rejects(store.readState(""), { code: "file-unreadable", where: state });
  }
});
