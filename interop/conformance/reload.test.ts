/** Repairs Q9 and Q10: what SIGHUP does to a relay, its certificate and its connections. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join as joinPath } from "node:path";
import process from "node:process";
import timers from "node:timers/promises";
import { certificatePaths } from "../../relay/config/certificate-files.ts";
import { createSelfSigned } from "../../relay/crypto/self-signed.ts";
import { join } from "./client.ts";
import { openTls } from "./http.ts";
import { patienceMs } from "./incoming.ts";
import type { RelayFiles, RelayUnderTest } from "./relay-under-test.ts";
import { statement } from "./suite.ts";

const dayMs = 86_400_000;
const pollMs = 20;
/** The relay looks at its files every few seconds, and again if it has seen them half written. */
const lookedAtWithinMs = 20_000;

async function fingerprint(relay: RelayUnderTest): Promise<string> {
  const socket = await openTls(relay);
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  assert.ok(certificate !== undefined);
  return certificate.fingerprint256;
}

async function replaceCertificate({ folder, hostName }: RelayFiles, name = hostName): Promise<void> {
  const [notBefore, notAfter] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
  const { certificatePem, keyPem } = createSelfSigned({ hostName: name, notBefore, notAfter });
  const paths = certificatePaths(joinPath(folder, "certs"), hostName);
  await writeFile(paths.crt, certificatePem);
  await writeFile(paths.key, keyPem);
}

async function becomes(
  holds: () => Promise<boolean> | boolean,
  what: string,
  withinMs = patienceMs,
): Promise<void> {
  const giveUp = AbortSignal.timeout(withinMs);
  while (!(await holds())) {
    if (giveUp.aborted) assert.fail(`in vain: ${what}`);
    await timers.setTimeout(pollMs);
  }
}

statement(
  "Q9. Given new certificate files, then they are taken without a signal, and connections that are there stay; derper keeps the old.",
  async ({ t, kind, relay, differs }) => {
    if (differs("Q9", { derper: true, ours: false })) return;
    const alice = await join({ t, relay });
    const before = await fingerprint(relay);
    await replaceCertificate(relay);
    const isNew = async (): Promise<boolean> => (await fingerprint(relay)) !== before;
    await becomes(isNew, `${kind} takes a new certificate`, lookedAtWithinMs);
    alice.send(alice, "still here");
    await alice.receives(alice, "still here");
  },
  { relay: {} },
);

statement(
  "Q9, Q10. Given SIGHUP, then the certificate is read again, and connections that are there stay; derper ends.",
  async ({ t, kind, relay, differs }) => {
    const alice = await join({ t, relay });
    const before = await fingerprint(relay);
    await replaceCertificate(relay);
    process.kill(relay.pid, "SIGHUP");
    if (differs("Q10", { derper: true, ours: false })) {
      await alice.closed();
      return;
    }
    await becomes(async () => (await fingerprint(relay)) !== before, `${kind} takes a new certificate`);
    alice.send(alice, "still here");
    await alice.receives(alice, "still here");
    const taken = await fingerprint(relay);
    await replaceCertificate(relay, "other.example");
    process.kill(relay.pid, "SIGHUP");
    await becomes(() => relay.log().includes("goes on: certificate"), `${kind} says what is wrong`);
    assert.equal(await fingerprint(relay), taken);
  },
  { relay: {} },
);
