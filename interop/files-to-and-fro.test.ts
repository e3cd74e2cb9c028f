/** A relay is exchanged for the other kind in place: who knew the key and the pin of the one knows those of the other. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { connectRelay } from "../relay/client/connection.ts";
import { createTrust } from "../relay/client/transport.ts";
import { generatePrivateKey } from "../relay/crypto/keys.ts";
import { certificatePin } from "../relay/crypto/self-signed.ts";
import {
  type RelayFiles,
  type RelayKind,
  startRelayUnderTest,
  whyMissing,
} from "./conformance/relay-under-test.ts";
import { ownFiles } from "./conformance/suite.ts";

const hostName = "127.0.0.1";

for (const ours of ["node", "bun"] as const) {
  for (const [maker, heir] of [
    ["derper", ours],
    [ours, "derper"],
  ] as const) {
    const skip = whyMissing("derper") ?? whyMissing(ours) ?? false;
    test(
      `with the key file and certificate folder that ${maker} has made, ${heir} has the same key and pin`,
      { skip, timeout: 60_000 },
      async (t) => {
        const files = await emptyFolder(t);
        const before = await meet(t, maker, files);
        const left = await readFiles(files);
        assert.deepEqual(Object.keys(left), ["derper.key", "certs/127.0.0.1.crt", "certs/127.0.0.1.key"]);
        assert.deepEqual(await meet(t, heir, files), before);
        assert.deepEqual(await readFiles(files), left);
      },
    );
  }
}

/** Everything is for a relay to make. */
async function emptyFolder(t: TestContext): Promise<RelayFiles> {
  const files = await ownFiles(t, hostName);
  for (const name of await readdir(files.folder))
    await rm(path.join(files.folder, name), { recursive: true });
  return files;
}

/** Starts a relay, and logs in as a client that knows the pin of the certificate that lies there. @returns who it is */
async function meet(
  t: TestContext,
  kind: RelayKind,
  files: RelayFiles,
): Promise<Record<string, string | undefined>> {
  const relay = await startRelayUnderTest(kind, files);
  try {
    const leaf = new X509Certificate(await readFile(path.join(files.folder, "certs", `${hostName}.crt`)));
    const pin = certificatePin(leaf.raw);
    await using client = await connectRelay({
      endpoint: { address: hostName, port: relay.derpPort },
      identity: { hostName, certName: pin },
      trust: createTrust(),
      privateKey: generatePrivateKey(),
      signal: t.signal,
    });
    const { serverKey, headerKey } = client.facts;
    return { pin, serverKey: serverKey.toString("hex"), headerKey: headerKey?.toString("hex") };
  } finally {
    await relay.stop();
  }
}

/** A digest of each file that a relay keeps, and its mode, by name. */
async function readFiles({ folder }: RelayFiles): Promise<Record<string, string>> {
  const certificates = (await readdir(path.join(folder, "certs"))).sort();
  const kept = ["derper.key", ...certificates.map((name) => `certs/${name}`)].map(async (name) => {
    const file = path.join(folder, name);
    const { mode } = await stat(file);
    const digest = createHash("sha256").update(await readFile(file));
    return [name, `${(mode & 0o777).toString(8)} ${digest.digest("hex")}`] as const;
  });
  return Object.fromEntries(await Promise.all(kept));
}
