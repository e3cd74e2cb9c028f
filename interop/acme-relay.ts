/** Relays of ours that get their certificates from Pebble, and what their clients see. */
import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { whyMissing } from "./conformance/relay-under-test.ts";
import { eventually } from "./eventually.ts";
import { type Pebble, type PebbleOptions, startPebble, whyNoPebble } from "./pebble.ts";
import {
  createPlace,
  type RelayPlace,
  type RelayProcess,
  type RelayProcessOptions,
  startRelayProcess,
} from "./relay-process.ts";
import { freePort } from "./test-ports.ts";

/** It has an address in the hosts file of every machine, so that the relay finds itself by name. */
export const knownName = "localhost";
/** Pebble's DNS knows it and the machine's own does not: the relay cannot find itself, warns, and goes on after 7 s. */
export const unknownName = "relay.derpkit.test";

// Each program has a listener that ends it with this process, and many run side by side.
process.setMaxListeners(200);

export type Runtime = "node" | "bun";

/** Registers a test of our relay on Node and one on Bun. @param title ends before the runtime's name */
export function onNodeAndBun(title: string, run: (t: TestContext, kind: Runtime) => Promise<void>): void {
  for (const kind of ["node", "bun"] as const)
    test(`${title} (${kind})`, { skip: whyNoPebble || (whyMissing(kind) ?? false), timeout: 240_000 }, (t) =>
      run(t, kind),
    );
}

/** Where a relay and its Pebble meet. */
export interface AcmePlace extends RelayPlace {
  /** For `-certdir`; not there yet. */
  readonly certDir: string;
  /** Nobody listens there, unless `-http-port` says so. */
  readonly httpPort: number;
  /** They end before the folder does, in which they write at any time. */
  readonly relays: RelayProcess[];
}

export async function createAcmePlace(t: TestContext): Promise<AcmePlace> {
  const relays: RelayProcess[] = [];
  t.after(async () => {
    for (const relay of relays) await relay.kill();
  });
  const place = await createPlace(t, knownName, undefined);
  const certDir = path.join(place.files.folder, "acme");
  return { ...place, certDir, httpPort: await freePort("tcp"), relays };
}

/** Starts a Pebble that looks for proofs where the relay of a place serves TLS and, if it does, plain HTTP. */
export function startPebbleFor(
  t: TestContext,
  { derpPort, httpPort }: AcmePlace,
  options: PebbleOptions = {},
): Promise<Pebble> {
  return startPebble(t, { tlsPort: derpPort, httpPort, ...options });
}

export interface AcmeRelayOptions extends AcmePlace {
  readonly kind: Runtime;
  readonly pebble: Pebble;
  /** Beyond those below, or in their place. */
  readonly flags?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a relay in mode `acme`, with no port for plain HTTP, and waits until it accepts connections. */
export async function startAcmeRelay(t: TestContext, options: AcmeRelayOptions): Promise<RelayProcess> {
  const { certDir, pebble, flags, relays, ...rest } = options;
  const own: RelayProcessOptions["flags"] = {
    certmode: "acme",
    hostname: knownName,
    certdir: certDir,
    "acme-directory": pebble.directory,
    "acme-ca": pebble.caFile,
    // Pebble picks one at random for who names none.
    "acme-profile": "default",
    ...flags,
  };
  const relay = await startRelayProcess(t, { ...rest, flags: own });
  relays.push(relay);
  return relay;
}

/** What a client wants of a server. */
export interface Wish {
  readonly port: number;
  /** The name or IP address to be proven; a name is sent as SNI. */
  readonly name: string;
  /** PEM: the only root that the client trusts. */
  readonly root: string;
  /** IP address; by default that of the wish, or 127.0.0.1. */
  readonly address?: string;
  readonly alpn?: readonly string[];
}

const handshakeMs = 10_000;

/**
 * Shakes hands as a client that trusts one root and nothing else.
 *
 * @returns the certificate, which is the server's for the name
 * @throws Error of the handshake, or if it takes more than 10 s
 */
export async function shakeHands(wish: Wish): Promise<X509Certificate> {
  const { port, name, root, alpn } = wish;
  const byAddress = isIP(name) !== 0;
  const options: ConnectionOptions = {
    host: wish.address ?? (byAddress ? name : "127.0.0.1"),
    port,
    ca: root,
    ...(byAddress ? {} : { servername: name }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
  const socket = connect(options);
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(handshakeMs) });
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) throw new Error("the server showed no certificate");
    return certificate;
  } finally {
    socket.on("error", () => {}).destroy();
  }
}

/** Waits until a client that trusts Pebble's root, and nothing else, is content with a server. */
export function servedCertificate(wish: Wish): Promise<X509Certificate> {
  return lookForCertificate(`${wish.name} has a certificate of Pebble's`, wish, () => true);
}

/** Waits until it shows another one than before. */
export function anotherCertificate(
  wish: Wish,
  { serialNumber: before }: X509Certificate,
): Promise<X509Certificate> {
  return lookForCertificate(
    `${wish.name} has another certificate of Pebble's`,
    wish,
    ({ serialNumber }) => serialNumber !== before,
  );
}

async function lookForCertificate(
  what: string,
  wish: Wish,
  isIt: (found: X509Certificate) => boolean,
): Promise<X509Certificate> {
  let last: X509Certificate | Error | undefined;
  await eventually(what, async () => {
    last = await shakeHands(wish).catch((error: Error) => error);
    return !(last instanceof Error) && isIt(last);
  }).catch((cause: unknown) => {
    throw new Error(`waited in vain until ${what}, and saw at last: ${String(last)}`, { cause });
  });
  if (last === undefined || last instanceof Error) throw new TypeError("eventually waits until it is so");
  return last;
}

/** Waits until a file holds a certificate, which may be shown a moment before it is stored. @param leaf PEM */
export async function holds(file: string, leaf: string): Promise<void> {
  await eventually(`${file} holds the certificate`, async () =>
    (await readFile(file, "utf8").catch(() => "")).includes(leaf.trim()),
  );
}

/** Waits until a relay's log says something. */
export async function says(relay: Pick<RelayProcess, "log">, words: RegExp): Promise<void> {
  await eventually(`the log says ${words}`, () => words.test(relay.log()));
}

/**
 * Waits until Pebble has noted that a certificate was replaced, as an order named it.
 *
 * Of 256 certificates there is one whose order Pebble does not find: it looks for the serial number with the zero byte
 * before it that DER needs, and has noted it without. It refuses such an order, and the relay then says that it orders
 * without a name.
 */
export async function replaced(pebble: Pebble, relay: RelayProcess, before: X509Certificate): Promise<void> {
  const isLost = /^[89A-F]/.test(before.serialNumber);
  await eventually("Pebble has noted what was replaced", () =>
    isLost ? relay.log().includes("without naming the certificate") : pebble.replacements() === 1,
  );
}

/** Has a relay look at its files, and ask when to renew. */
export function hangUp({ pid }: RelayProcess): void {
  process.kill(pid, "SIGHUP");
}

/** A window that has passed: whoever asks has to renew at once. */
export function pastWindow(): { readonly start: Date; readonly end: Date } {
  const now = Date.now();
  return { start: new Date(now - 7_200_000), end: new Date(now - 3_600_000) };
}
