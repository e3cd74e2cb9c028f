/** Secrets that are sealed to the relay of a real machine: when they come, and when newer ones do. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { sealSecrets, secretsFile, secretsSignatureFile } from "../infra/delivery/sealed-secrets.ts";
import { relayKeyFile, relayUnit } from "../relay/agent/places.ts";
import { parseKeyFile } from "../relay/crypto/key-file.ts";
import { publicKeyOf } from "../relay/crypto/keys.ts";
import { eventually } from "./eventually.ts";
import { type MachineDelivery, node, region, stack } from "./machine-delivery.ts";
import { updaterSays } from "./machine-relay.ts";

/** Prints what the running relay has for a status token: an empty line before there is one. */
const readCredential = `cat /run/credentials/${relayUnit}/status-token`;

const canary = "canary-5d0e8f17a2b4";

/** Seals a first secret, a newer one, and the first one again, which is refused. */
export async function sealInUse({ server, folder, signingKey }: MachineDelivery): Promise<void> {
  const shell = (command: string): Promise<string> => server.command(command);

  async function publish(sequence: number, token: string): Promise<void> {
    const key = parseKeyFile(await shell(`cat ${relayKeyFile}`), relayKeyFile);
    const to = publicKeyOf(key).toString("hex");
    const secrets = new Map([["status-token", token]]);
    const { document, signature } = sealSecrets({ stack, region, node, to, secrets, sequence }, signingKey);
    await mkdir(path.join(folder, "secrets"), { recursive: true });
    await writeFile(path.join(folder, secretsFile(node)), document);
    await writeFile(path.join(folder, secretsSignatureFile(node)), signature);
    await shell("systemctl reload derpkit-updater.service");
  }
  const has = (token: string): Promise<void> =>
    eventually("the relay has its secret", async () => (await shell(readCredential)) === `${token}\n`);
  const says = (text: string): Promise<void> => updaterSays(server, text);

  await says('"secrets":null');
  assert.equal(await shell(readCredential), "\n");

  await publish(1, `${canary}-1`);
  await has(`${canary}-1`);
  await says('"secrets":1');
  // What is there in clear is in memory.
  assert.equal(await shell(`grep -rl ${canary} /var /etc /opt /root /tmp 2>/dev/null; true`), "");
  assert.doesNotMatch(await shell("journalctl --no-pager"), new RegExp(canary));

  await publish(2, `${canary}-2`);
  await has(`${canary}-2`);
  await publish(1, `${canary}-1`);
  await says('"code":"secrets-replayed"');
  assert.equal(await shell(readCredential), `${canary}-2\n`);
  assert.match(await shell(`systemctl is-active ${relayUnit}`), /^active/);
}
