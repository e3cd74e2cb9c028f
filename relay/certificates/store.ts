/**
 * The certificate folder of one identifier: the pair, the account's key, and what the keeper remembers.
 *
 * A crash at any point leaves a pair that can be used. A file has its final name only when it is whole and on the disk; and
 * where a pair is two files, both are first written as one, the journal, which goes when the two are in place. As long as
 * it is there it is read, too.
 *
 * Whoever writes holds the lock (lock.ts).
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import * as nodeFs from "node:fs/promises";
import { dirname } from "node:path";
import type { Identifier } from "../acme/identifier.ts";
import { type CertificatePair, findMismatch } from "../config/certificate-files.ts";
import { isErrno, makeFolder, readIfThere, readOrMake, writeWhole } from "../config/files.ts";
import { KitError } from "../errors.ts";
import type { Lifetime } from "./renewal.ts";
import { type FileNames, fileNames } from "./file-names.ts";
import { initialState, type KeeperState, parseState, renderState } from "./state.ts";

/** What is used of node:fs/promises to write. */
export type FileSystem = Pick<typeof nodeFs, "mkdir" | "open" | "rename" | "rm">;

export interface FoundPair {
  /** Fits, and is for the identifier; its days are not looked at. Undefined if there is none. */
  readonly pair: CertificatePair | undefined;
  /** What was found and cannot be used, a full sentence each. Nothing of it is removed; a new certificate replaces it. */
  readonly faults: readonly string[];
}

export interface Store {
  readonly files: FileNames;
  /** Reads the certificate. @throws KitError `file-unreadable` if a file is there and cannot be read */
  readPair(): Promise<FoundPair>;
  /**
   * Replaces the certificate.
   *
   * @throws KitError `certificate-invalid` if the pair does not fit or is for others, and then nothing is written;
   *   `certificate-store`
   */
  writePair(pair: CertificatePair): Promise<void>;
  /**
   * Reads the account's key, or makes one (EC P-256). Of two processes that make one, both get the same.
   *
   * @throws KitError `file-unreadable`, also for what is no key: with a new one the account would be lost
   */
  accountKey(): Promise<KeyObject>;
  /**
   * Reads what the keeper remembers.
   *
   * @returns a state that knows nothing if there is none, or if it cannot be understood; then `fault` says so
   * @throws KitError `file-unreadable` if the file is there and cannot be read
   */
  readState(settings: string): Promise<{ readonly state: KeeperState; readonly fault: string | undefined }>;
  /** @throws KitError `certificate-store` */
  writeState(state: KeeperState): Promise<void>;
  /**
   * Makes sure that a new certificate could be written, before an order is spent on it.
   *
   * @throws KitError `certificate-store`
   */
  probe(): Promise<void>;
}

/** Opens the store. Nothing is read or made. @throws KitError `certificate-invalid` for a name that no file can have */
export function openStore(folder: string, identifier: Identifier, fs: FileSystem = nodeFs): Store {
  const files = fileNames(folder, identifier);
  const host = identifier.value;
  return {
    files,
    readPair: () => readPair(files, host),
    async writePair(pair) {
      const fault = findMismatch(pair, host);
      if (fault !== undefined) {
        throw new KitError("certificate-invalid", {
          where: host,
          message: `The new certificate ${fault}; it is not stored.`,
        });
      }
      await orStoreError(files.folder, "The certificate cannot be stored.", async () => {
        await makeFolders(files, fs);
        await replacePair(files, pair, fs);
      });
    },
    accountKey: () => readOrMakeAccountKey(files, fs),
    readState: (settings) => readState(files.state, host, settings),
    writeState: (state) =>
      orStoreError(files.state, "What is remembered of a certificate cannot be stored.", async () => {
        await makeFolders(files, fs);
        await writeWhole(files.state, renderState(state), 0o600);
      }),
    probe: () =>
      orStoreError(files.folder, "There is no room for a new certificate, so none is ordered.", () =>
        tryToWrite(files, fs),
      ),
  };
}

/** What decision.ts wants to know of a certificate. `digest` is the SHA-256 of the leaf, in hex. */
export function describePair(pair: CertificatePair): Lifetime & { readonly digest: string } {
  const { raw, validFromDate, validToDate } = new X509Certificate(pair.chain);
  return {
    notBefore: validFromDate.getTime(),
    notAfter: validToDate.getTime(),
    digest: createHash("sha256").update(raw).digest("hex"),
  };
}

/** More than key and chain of two certificates, twice. */
const probeBytes = 64 * 1_024;

/** One that may be tried as the pair: where it is, and what it says. */
interface Candidate {
  readonly where: string;
  readonly pair: CertificatePair;
}

/** A second look, since somebody may have replaced the files, one after the other, during the first. */
async function readPair(files: FileNames, host: string): Promise<FoundPair> {
  const found = await lookForPair(files, host);
  return found.pair === undefined && found.faults.length > 0 ? lookForPair(files, host) : found;
}

async function lookForPair({ certificate, journal }: FileNames, host: string): Promise<FoundPair> {
  if (certificate.layout === "two-files") {
    const candidates = [await readTwoFiles(certificate.crt, certificate.key), await readOneFile(journal)];
    return choose(candidates, host);
  }
  const main = choose([await readOneFile(certificate.file)], host);
  if (main.pair !== undefined) return main;
  const { pair, faults } = choose([await readOneFile(certificate.rsa)], host);
  return { pair, faults: [...main.faults, ...faults] };
}

/** The one that begins last: derper may have renewed the two files while a journal lay there. */
function choose(candidates: readonly (Candidate | undefined)[], host: string): FoundPair {
  const faults: string[] = [];
  const usable: (Candidate & Lifetime)[] = [];
  for (const candidate of candidates) {
    if (candidate === undefined) continue;
    const fault = findMismatch(candidate.pair, host);
    if (fault === undefined) usable.push({ ...candidate, ...describePair(candidate.pair) });
    else faults.push(`${candidate.where}: the certificate ${fault}; it is not used.`);
  }
  usable.sort((one, other) => other.notBefore - one.notBefore);
  return { pair: usable[0]?.pair, faults };
}

async function readTwoFiles(crt: string, key: string): Promise<Candidate | undefined> {
  const [chainText, keyText] = await Promise.all([readIfThere(crt), readIfThere(key)]);
  if (chainText === undefined && keyText === undefined) return undefined;
  return { where: crt, pair: splitPem(`${keyText ?? ""}\n${chainText ?? ""}`) };
}

async function readOneFile(where: string): Promise<Candidate | undefined> {
  const text = await readIfThere(where);
  return text === undefined ? undefined : { where, pair: splitPem(text) };
}

/** The first key of any kind, and all certificates, in their order; empty where there is none. */
function splitPem(text: string): CertificatePair {
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g) ?? [];
  const key = blocks.find((block) => /^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(block));
  const chain = blocks.filter((block) => block.startsWith("-----BEGIN CERTIFICATE-----"));
  return { key: key === undefined ? "" : `${key}\n`, chain: chain.map((block) => `${block}\n`).join("") };
}

async function replacePair(files: FileNames, pair: CertificatePair, fs: FileSystem): Promise<void> {
  // autocert takes no file with anything behind the last certificate, be it an empty line.
  const { key, chain } = splitPem(`${pair.key}\n${pair.chain}`);
  const { certificate, journal } = files;
  const replace = (file: string, text: string, mode: number): Promise<void> =>
    replaceFile(files.draft, file, text, mode, fs);
  if (certificate.layout === "one-file") return replace(certificate.file, key + chain, 0o600);
  await replace(journal, key + chain, 0o600);
  await replace(certificate.key, key, 0o600);
  await replace(certificate.crt, chain, 0o644);
  await fs.rm(journal, { force: true });
}

/** Only a file that it makes itself surely has the mode. */
async function replaceFile(
  draft: string,
  file: string,
  text: string,
  mode: number,
  fs: FileSystem,
): Promise<void> {
  await fs.rm(draft, { force: true });
  await writeNew(draft, text, mode, fs);
  await fs.rename(draft, file);
  await syncFolder(dirname(file), fs);
}

async function writeNew(file: string, content: string | Buffer, mode: number, fs: FileSystem): Promise<void> {
  await using handle = await fs.open(file, "wx", mode);
  await handle.writeFile(content);
  await handle.sync();
}

/** Makes a rename outlive a power cut before the next one is made. Not every system can. */
async function syncFolder(folder: string, fs: FileSystem): Promise<void> {
  try {
    await using handle = await fs.open(folder, "r");
    await handle.sync();
  } catch (error) {
    if (!isErrno(error) || error.code === "EIO") throw error;
  }
}

async function makeFolders({ own }: FileNames, fs: FileSystem): Promise<void> {
  await makeFolder(own, 0o700, fs.mkdir);
}

/** As with a certificate: written in our folder, and brought to its place. */
async function tryToWrite(files: FileNames, fs: FileSystem): Promise<void> {
  await makeFolders(files, fs);
  try {
    await fs.rm(files.draft, { force: true });
    // Not zeros, which a file system may keep without room for them.
    await writeNew(files.draft, Buffer.alloc(probeBytes, "derpkit"), 0o600, fs);
    await fs.rename(files.draft, files.probe);
  } finally {
    await fs.rm(files.draft, { force: true });
    await fs.rm(files.probe, { force: true });
  }
}

async function readOrMakeAccountKey(files: FileNames, fs: FileSystem): Promise<KeyObject> {
  const where = files.accountKey;
  await orStoreError(files.folder, "The account's key cannot be stored.", () => makeFolders(files, fs));
  const text = await readOrMake(where, makeAccountKey, "The account's key cannot be read or made.");
  try {
    return createPrivateKey(text);
  } catch {
    // Without the cause, which might show some of it.
    throw new KitError("file-unreadable", {
      where,
      message: "The account's key is not a private key in PEM.",
      fix: "Restore the file from a backup, or move it away to begin with a new account.",
    });
  }
}

/** SEC1, `EC PRIVATE KEY`, as derper writes it. */
function makeAccountKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "sec1", format: "pem" }).toString();
}

async function readState(
  file: string,
  host: string,
  settings: string,
): Promise<{ readonly state: KeeperState; readonly fault: string | undefined }> {
  const fresh = initialState(host, settings);
  const text = await readIfThere(file);
  if (text === undefined) return { state: fresh, fault: undefined };
  const parsed = parseState(text, host);
  if ("state" in parsed) return { state: parsed.state, fault: undefined };
  const fault = `${file}: what was remembered of the certificate ${parsed.fault}; it begins anew.`;
  return { state: fresh, fault };
}

async function orStoreError<T>(where: string, message: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (!isErrno(cause)) throw cause;
    throw new KitError("certificate-store", { where, message, cause });
  }
}
