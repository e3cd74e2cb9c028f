/** The real relay on free ports of loopback, for tests of what talks to one. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import * as v from "valibot";
import { type ConnectOptions, connectRelay, type RelayConnection } from "../client/connection.ts";
import { createTrust } from "../client/transport.ts";
import { type RelayConfigInput, relayConfigSchema } from "../config/schema.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../crypto/keys.ts";
import { certificatePin } from "../crypto/self-signed.ts";
import { type Relay, type RelayDependencies, startRelay } from "../relay.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface RunningRelay {
  readonly relay: Relay;
  /** Its state directory. */
  readonly folder: string;
  readonly hostName: string;
  /** What the derpMap's CertName is. */
  readonly pin: string;
  readonly derpPort: number;
  readonly stunPort: number;
}

/** A relay on a free port of loopback that keeps all it has in its state directory. */
export const quietConfig = {
  listen: "127.0.0.1:0",
  hostname: "relay.derpkit.internal",
  certMode: "pinned",
  certDir: "certs",
  keyFile: "derper.key",
  meshPskFile: "",
  httpPort: -1,
} satisfies RelayConfigInput;

/** A client that is logged in. */
export type TestClient = RelayConnection & { readonly key: NodeKey };

/** Starts a relay; it stops with the test. Port 0 of plain HTTP is a free one. */
export async function startBareRelay(
  t: TestContext,
  { httpPort = -1, ...options }: Partial<RelayConfigInput> = {},
  dependencies: Partial<RelayDependencies> = {},
): Promise<{ readonly relay: Relay; readonly folder: string; readonly log: readonly string[] }> {
  const folder = temporaryFolder(t);
  const log: string[] = [];
  // Port 0 is for tests only; the schema keeps people from asking for it.
  const config = { ...v.parse(relayConfigSchema, { ...quietConfig, ...options }), httpPort, stunPort: 0 };
  const relay = await startRelay(config, {
    stateDirectory: folder,
    version: "0.0.0",
    bundle: null,
    log: (line) => void log.push(line),
    env: {},
    ...dependencies,
  });
  t.after(() => relay[Symbol.asyncDispose]());
  return { relay, folder, log };
}

/** Starts a relay with a pinned certificate and STUN; it stops with the test. */
export async function startTestRelay(
  t: TestContext,
  options: Partial<RelayConfigInput> = {},
  dependencies: Partial<RelayDependencies> = {},
): Promise<RunningRelay> {
  const { relay, folder } = await startBareRelay(t, options, dependencies);
  const hostName = options.hostname ?? quietConfig.hostname;
  const certificate = await readFile(join(folder, "certs", `${hostName}.crt`));
  return {
    relay,
    folder,
    hostName,
    pin: certificatePin(new X509Certificate(certificate).raw),
    derpPort: relay.derpPort,
    stunPort: relay.stunPort ?? 0,
  };
}

const trust = createTrust();

/** Logs a client in, with a key of its own unless one is given; it leaves with the test. */
export async function joinRelay(
  t: TestContext,
  { derpPort, hostName, pin }: Pick<RunningRelay, "derpPort" | "hostName" | "pin">,
  { privateKey = generatePrivateKey(), ...options }: Partial<ConnectOptions> = {},
): Promise<TestClient> {
  const connection = await connectRelay({
    endpoint: { address: "127.0.0.1", port: derpPort },
    identity: { hostName, certName: pin },
    trust,
    privateKey,
    signal: t.signal,
    ...options,
  });
  t.after(() => connection[Symbol.asyncDispose]());
  return { ...connection, key: publicKeyOf(privateKey) };
}
