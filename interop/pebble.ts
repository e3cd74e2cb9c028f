/**
 * Pebble, the test server for ACME, as the certificate authority of one test: on loopback, with a DNS of its own, and gone
 * with the test. What it issues is worth nothing elsewhere; its root is another one each time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import timers from "node:timers/promises";
import { createSelfSigned } from "../relay/crypto/self-signed.ts";
import { Door } from "./door.ts";
import { freePort } from "./test-ports.ts";

export interface PebbleOptions {
  /** Where it asks for TLS-ALPN-01: the relay's port. By default one where nobody listens. */
  readonly tlsPort?: number;
  /** Where it asks for HTTP-01; as above. */
  readonly httpPort?: number;
  /** It opens accounts only for who shows `externalAccount`. */
  readonly eab?: boolean;
  /** So many good nonces of a hundred are called bad; none by default. */
  readonly badNonces?: number;
  /** It takes up to so many seconds over a validation. */
  readonly slowSeconds?: number;
  /** It takes every proof for good and looks at none. */
  readonly believing?: boolean;
  /** What it issues, by name; all by default. It picks one at random for who names none. */
  readonly profiles?: readonly Profile[];
  /** Nobody can connect to it before `open`. */
  readonly shut?: boolean;
}

export interface Pebble {
  /** URL. */
  readonly directory: string;
  /** PEM file: the certificate of its own HTTPS, which is not what it issues. */
  readonly caFile: string;
  /** Where its DNS answers, over UDP and TCP. */
  readonly dnsPort: number;
  /** PEM: who trusts it trusts what this Pebble issues. */
  readonly root: string;
  /** How many orders it has taken; one that it refuses does not count. */
  orders(): number;
  /** How many certificates it has issued. */
  issued(): number;
  /** How many of them took the place of one that their order named (`replaces`). */
  replacements(): number;
  /** How many accounts it has opened. */
  accounts(): number;
  /** How often it has asked for HTTP-01; a validation asks three times. */
  httpQuestions(): number;
  /** How often somebody wanted to know when to renew. */
  renewalQuestions(): number;
  /** What it answers from now on to who asks when to renew a certificate. @param leaf PEM */
  setRenewalInfo(leaf: string, window: { readonly start: Date; readonly end: Date }): Promise<void>;
  /** `Valid` or `Revoked`; undefined if it has not issued that. */
  certStatus(certificate: X509Certificate): Promise<string | undefined>;
  /** The IPv4 addresses of a host name. By default it is 127.0.0.1 for all names. */
  setA(host: string, addresses: readonly string[]): Promise<void>;
  /** From now on nobody can connect to it; who is connected is cut off. It forgets nothing. */
  shut(): Promise<void>;
  /** All is as before `shut`. */
  open(): Promise<void>;
  /** What it has written. */
  log(): string;
}

/** Lifetimes in seconds. A certificate of the last one has to be renewed while a test watches. */
const lifetimes = { default: 90 * 86_400, shortlived: 6 * 86_400, blink: 40 } as const;
export type Profile = keyof typeof lifetimes;

/** The external account that `eab` asks for: its id, and its key in base64url. */
export const externalAccount = {
  kid: "kid-1",
  key: Buffer.alloc(32, "this is no secret").toString("base64url"),
} as const;
/** It issues for no name below this one. */
export const refusedDomain = "blocked.example";

/** The folder of `pebble` and `pebble-challtestsrv`. */
const programs = process.env["DERPKIT_PEBBLE"] ?? path.join(homedir(), ".cache/derpkit/pebble");

/** Why there is no Pebble on this machine; false if there is one. */
export const whyNoPebble =
  !["pebble", "pebble-challtestsrv"].every((name) => existsSync(path.join(programs, name))) &&
  "there is no Pebble: DERPKIT_PEBBLE does not name its folder";

const dayMs = 86_400_000;
const startWithinMs = 30_000;
const pollMs = 50;
/** Characters at the log's end that a test shows when it has failed. */
const shownOfLog = 6_000;

/**
 * Starts Pebble and its DNS until the end of the test, and waits until both answer.
 *
 * @throws Error with the log of the one that does not
 */
export async function startPebble(
  t: TestContext,
  options: PebbleOptions = {},
  attempts = 3,
): Promise<Pebble> {
  const ports = await choosePorts(options);
  const running = new Programs(t);
  const api = await writeFiles(await running.folder, options, ports);
  const [dns, pebble] = [
    await running.start("pebble-challtestsrv", dnsArguments(ports)),
    await running.start("pebble", pebbleArguments(ports), environmentOf(options)),
  ];
  const ask = (port: number, where: string, body?: object): Promise<Answer> =>
    askHttps(`https://127.0.0.1:${port}${where}`, api.certificatePem, body);
  const tellDns = async (where: string, body: object): Promise<void> => {
    const url = `http://127.0.0.1:${ports.dnsManagement}${where}`;
    const { status } = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (status !== 200) throw new Error(`Pebble's DNS answers ${where} with ${status}`);
  };
  let root: string;
  try {
    await answers(dns, () => tellDns("/add-a", { host: "pebble.invalid.", addresses: ["127.0.0.1"] }));
    await answers(pebble, () => ask(ports.api, "/dir"));
    root = await answers(pebble, async () => (await ask(ports.management, "/roots/0")).body);
  } catch (error) {
    await running.end();
    // Others take ports as well, and one that was free may be gone by now.
    if (attempts <= 1 || !/in use/.test(pebble.log() + dns.log())) throw error;
    return await startPebble(t, options, attempts - 1);
  }
  const door = new Door(ports.door, ports.api);
  t.after(() => door.shut());
  if (options.shut !== true) await door.open();
  const count = (words: string): number => pebble.log().split(words).length - 1;
  return {
    directory: `https://127.0.0.1:${ports.door}/dir`,
    caFile: path.join(await running.folder, apiFiles.certificate),
    dnsPort: ports.dns,
    root,
    orders: () => count("Added order "),
    issued: () => count("Issued certificate serial "),
    replacements: () => count(" has been marked as replaced"),
    accounts: () => count(" accounts in memory"),
    httpQuestions: () => count("Attempting to validate w/ HTTP: "),
    renewalQuestions: () => count("GET /draft-ietf-acme-ari-03/renewalInfo/ ->"),
    async setRenewalInfo(leaf, { start, end }) {
      const ariResponse = JSON.stringify({ suggestedWindow: { start, end } });
      const { status, body } = await ask(ports.management, "/set-renewal-info/", {
        certificate: leaf,
        ariResponse,
      });
      if (status !== 200) throw new Error(`Pebble does not take renewal information: ${body}`);
    },
    async certStatus({ serialNumber }) {
      const where = `/cert-status-by-serial/${serialNumber.toLowerCase()}`;
      const { status, body } = await ask(ports.management, where);
      return status === 200 ? (JSON.parse(body) as { Status: string }).Status : undefined;
    },
    async setA(host, addresses) {
      await tellDns("/clear-a", { host: `${host}.` });
      await tellDns("/add-a", { host: `${host}.`, addresses });
    },
    shut: () => door.shut(),
    open: () => door.open(),
    log: pebble.log,
  };
}

/** Its directory, as it answers a client. @throws the system's error, with its code, if it cannot be reached */
export async function askPebble({ directory, caFile }: Pebble): Promise<unknown> {
  return JSON.parse((await askHttps(directory, await readFile(caFile, "utf8"))).body);
}

interface Ports {
  /** Of the directory. */
  readonly door: number;
  /** Behind the door. */
  readonly api: number;
  readonly management: number;
  readonly dns: number;
  readonly dnsManagement: number;
  readonly tls: number;
  readonly http: number;
}

async function choosePorts({ tlsPort, httpPort }: PebbleOptions): Promise<Ports> {
  return {
    door: await freePort("tcp"),
    api: await freePort("tcp"),
    management: await freePort("tcp"),
    dns: await freePort("tcp"),
    dnsManagement: await freePort("tcp"),
    tls: tlsPort ?? (await freePort("tcp")),
    http: httpPort ?? (await freePort("tcp")),
  };
}

const apiFiles = { certificate: "api.pem", key: "api.key", config: "pebble.json" } as const;

/** @returns what Pebble shows to who connects to it */
async function writeFiles(
  folder: string,
  options: PebbleOptions,
  ports: Ports,
): Promise<{ readonly certificatePem: string }> {
  const [notBefore, notAfter] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
  const api = createSelfSigned({ hostName: "127.0.0.1", notBefore, notAfter });
  await writeFile(path.join(folder, apiFiles.certificate), api.certificatePem);
  await writeFile(path.join(folder, apiFiles.key), api.keyPem, { mode: 0o600 });
  const config = JSON.stringify({ pebble: configOf(options, ports) });
  await writeFile(path.join(folder, apiFiles.config), config);
  return api;
}

/** The fields of Pebble's own test/config/pebble-config.json. */
function configOf(
  { eab = false, profiles = Object.keys(lifetimes) as Profile[] }: PebbleOptions,
  ports: Ports,
): object {
  return {
    listenAddress: `127.0.0.1:${ports.api}`,
    managementListenAddress: `127.0.0.1:${ports.management}`,
    certificate: apiFiles.certificate,
    privateKey: apiFiles.key,
    tlsPort: ports.tls,
    httpPort: ports.http,
    ocspResponderURL: "",
    externalAccountBindingRequired: eab,
    externalAccountMACKeys: { [externalAccount.kid]: externalAccount.key },
    domainBlocklist: [refusedDomain],
    retryAfter: { authz: 1, order: 1 },
    keyAlgorithm: "ecdsa",
    profiles: Object.fromEntries(
      profiles.map((name) => [name, { description: name, validityPeriod: lifetimes[name] }]),
    ),
  };
}

function pebbleArguments({ dns }: Ports): string[] {
  return ["-config", apiFiles.config, "-dnsserver", `127.0.0.1:${dns}`, "-strict"];
}

function environmentOf(options: PebbleOptions): Record<string, string> {
  const { badNonces = 0, slowSeconds, believing = false } = options;
  return {
    PEBBLE_WFE_NONCEREJECT: `${badNonces}`,
    // With a proof that it has seen before the next order would be another one. Of a hundred, Pebble still takes one so.
    PEBBLE_AUTHZREUSE: "0",
    ...(slowSeconds === undefined
      ? { PEBBLE_VA_NOSLEEP: "1" }
      : { PEBBLE_VA_SLEEPTIME: `${slowSeconds + 1}` }),
    ...(believing ? { PEBBLE_VA_ALWAYS_VALID: "1" } : {}),
  };
}

/** Of the helper only the DNS: proofs come from relays. No name has an IPv6 address, which Pebble would take first. */
function dnsArguments({ dns, dnsManagement }: Ports): string[] {
  const flags = {
    dnsserver: `127.0.0.1:${dns}`,
    management: `127.0.0.1:${dnsManagement}`,
    http01: "",
    https01: "",
    tlsalpn01: "",
    doh: "",
    defaultIPv4: "127.0.0.1",
    defaultIPv6: "",
  };
  return Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
}

interface Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly log: () => string;
}

/** What runs for a test in a folder of its own, until it ends. */
class Programs {
  readonly folder = mkdtemp(path.join(tmpdir(), "derpkit-pebble-"));
  readonly #started: Program[] = [];

  constructor(t: TestContext) {
    t.after(async () => {
      await this.end();
      const { passed } = t as TestContext & { readonly passed: boolean }; // Node's types lack it.
      if (!passed)
        for (const { name, log } of this.#started)
          t.diagnostic(`${name} wrote:\n${log().slice(-shownOfLog)}`);
      await rm(await this.folder, { recursive: true, force: true });
    });
  }

  /** What it writes goes into a file, not a pipe: what a relay knows from Pebble is then in Pebble's log for sure. */
  async start(
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const folder = await this.folder;
    const file = path.join(folder, `${name}.log`);
    const output = openSync(file, "a");
    const child = spawn(path.join(programs, name), args, {
      cwd: folder,
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    const program: Program = { name, child, log: () => readFileSync(file, "utf8") };
    this.#started.push(program);
    return program;
  }

  async end(): Promise<void> {
    await Promise.all(
      this.#started.map(async ({ child }) => {
        if (hasEnded(child)) return;
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      }),
    );
  }
}

/** Asks until there is an answer. */
async function answers<T>({ name, child, log }: Program, ask: () => Promise<T>): Promise<T> {
  const giveUp = performance.now() + startWithinMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (hasEnded(child) || performance.now() > giveUp)
        throw new Error(`${name} does not answer:\n${log()}`, { cause: error });
      await timers.setTimeout(pollMs);
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** GET, or POST with a body. @param ca PEM: whom to trust */
async function askHttps(url: string, ca: string, body?: object): Promise<Answer> {
  const method = body === undefined ? "GET" : "POST";
  // Pebble refuses who does not say what it is (RFC 8555, section 6.1).
  const asked = request(url, { ca, method, agent: false, headers: { "User-Agent": "derpkit-interop" } });
  const answered = once(asked, "response");
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = (await answered) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await text(answer) };
}
