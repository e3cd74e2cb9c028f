/** The relay of a test's machine, as it is seen from here: by the port of this machine that leads to it. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import https from "node:https";
import path from "node:path";
import { createSecureContext } from "node:tls";
import { openTls } from "../relay/client/transport.ts";
import { certificatePin } from "../relay/crypto/self-signed.ts";
import { decodeManifest, manifestFile, sha256Hex } from "../relay/updater/manifest.ts";
import { type RelayBundle, relayBundle } from "../infra/delivery/relay-bundle.ts";
import type { DeliveryServer } from "./delivery-server.ts";
import { eventually } from "./eventually.ts";
import { hostName, type MachineDelivery } from "./machine-delivery.ts";

export type Relay = Pick<RelayBundle, "code" | "version">;

const trust = createSecureContext({ minVersion: "TLSv1.2" });
const answerMs = 20_000;

/** The relay with another beginning: other bytes, and whatever the beginning does. */
export async function relayThat(name: string, begins = ""): Promise<Relay> {
  const { code, version } = await relayBundle();
  const text = `${begins}\n// ${name}\n${code.toString()}`;
  return { code: Buffer.from(text), version: `${version}.${name}` };
}

/** What the relay's certificate is, as a client that asks for the first time sees it. */
export async function readPin(derpPort: number): Promise<string> {
  const endpoint = { address: "127.0.0.1", port: derpPort };
  const signal = AbortSignal.timeout(answerMs);
  await using transport = await openTls({ endpoint, hostName, trust, signal }, (stream) => ({
    certificates: [stream.getPeerCertificate().raw],
    fault: undefined,
  }));
  return certificatePin(new X509Certificate(transport.certificates[0] ?? Buffer.alloc(0)).raw);
}

/** The bundle that the relay says it runs; undefined while it says nothing. */
export function runningBundle(derpPort: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      host: "127.0.0.1",
      port: derpPort,
      servername: hostName,
      headers: { Host: hostName },
    };
    const request = https.get(
      { ...options, path: "/healthz", rejectUnauthorized: false, timeout: answerMs },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        answer.on("end", () => resolve(text === "" ? undefined : JSON.parse(text).bundle));
      },
    );
    request.on("timeout", () => request.destroy()).on("error", () => resolve(undefined));
  });
}

/** Waits until a release's relay is the one that runs. */
export function runs(derpPort: number, { code }: Relay): Promise<void> {
  return eventually("the release runs", async () => (await runningBundle(derpPort)) === sha256Hex(code));
}

/** Has the updater look now, and waits until what is delivered has proven itself. */
export async function takes({ server, folder }: Pick<MachineDelivery, "server" | "folder">): Promise<void> {
  const { sequence } = decodeManifest(await readFile(path.join(folder, manifestFile)));
  await server.command("systemctl reload derpkit-updater.service");
  await updaterSays(server, `"sequence":${sequence},`, '"state":"current"');
}

/** Has the updater look now, and waits until it says that it has refused something so. */
export async function refuses(server: DeliveryServer, code: string): Promise<void> {
  await server.command("systemctl reload derpkit-updater.service");
  await updaterSays(server, `"code":"${code}"`);
}

/** Waits until the updater says all that. */
export async function updaterSays(server: DeliveryServer, ...texts: readonly string[]): Promise<void> {
  let said = "";
  await eventually(
    () => `the updater says ${texts.join(" and ")}, and it says ${said}`,
    async () => {
      said = await server.command("cat /run/derpkit/updater.json");
      return texts.every((text) => said.includes(text));
    },
  );
}

/** When a unit has last logged a line, on this machine's clock: milliseconds since 1970. */
export async function loggedAt(server: DeliveryServer, unit: string, words: string): Promise<number> {
  const asked = Date.now();
  const said = await server.command(
    `date +%s.%N; journalctl -u ${unit} -o short-unix --no-pager | grep -F '${words}' | tail -n 1`,
  );
  const [now = NaN, then = NaN] = said.split("\n").map((line) => Number.parseFloat(line));
  // The command ran between question and answer.
  return (asked + Date.now()) / 2 - (now - then) * 1_000;
}
