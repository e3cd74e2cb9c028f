/** Secrets that are sealed to the relay of a real Debian machine: before there are any, when they come, and when newer ones do. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { renderUnits } from "../infra/bootstrap/units.ts";
import type { MachineFiles } from "../infra/delivery/machine-files.ts";
import { sealSecrets, secretsFile, secretsSignatureFile } from "../infra/delivery/sealed-secrets.ts";
import { relayKeyFile } from "../relay/agent/places.ts";
import { parseKeyFile } from "../relay/crypto/key-file.ts";
import { publicKeyOf } from "../relay/crypto/keys.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { eventually } from "./eventually.ts";
import { MachineDelivery, node, region } from "./machine-delivery.ts";
import { VirtualMachine, whyNoMachine } from "./virtual-machine.ts";

const timeout = 2_400_000;
const canary = "canary-5d0e8f17a2b4";
const credential = "/run/credentials/derpkit-relay.service/status-token";

/** The node's units, with a credential that is sealed to its relay. */
function sealed(machines: MachineFiles): MachineFiles {
  const own = new Map(machines.ofNodes.get(node));
  const settings = { derpPort: 443, stunPort: 3478, http: false, secretChannel: "sealed" } as const;
  for (const [unit, text] of renderUnits({ ...settings, credentials: ["status-token"] }))
    own.set(`units/${node}/${unit}`, Buffer.from(text));
  return { ...machines, ofNodes: new Map([[node, own]]) };
}

describe("secrets sealed to a machine's relay", { skip: whyNoMachine ?? false, timeout }, () => {
  let delivery: MachineDelivery;
  let machine: VirtualMachine;
  const folder = temporaryFolder({ after });

  before(
    async () => {
      delivery = await MachineDelivery.start(path.join(folder, "delivery"), "bun");
      await delivery.publish({ change: sealed });
      machine = await VirtualMachine.boot({ userData: delivery.userData, tcp: {}, udp: {} });
    },
    { timeout },
  );
  after(async () => {
    await machine[Symbol.asyncDispose]();
    await delivery[Symbol.asyncDispose]();
  });

  const onMachine = (command: string): Promise<string> => delivery.server.command(command);

  async function publish(sequence: number, token: string): Promise<void> {
    const key = parseKeyFile(await onMachine(`cat ${relayKeyFile}`), relayKeyFile);
    const to = publicKeyOf(key).toString("hex");
    const secrets = new Map([["status-token", token]]);
    const content = { stack: "machine", region, node, to, secrets, sequence };
    const { document, signature } = sealSecrets(content, delivery.signingKey);
    await mkdir(path.join(delivery.folder, "secrets"), { recursive: true });
    await writeFile(path.join(delivery.folder, secretsFile(node)), document);
    await writeFile(path.join(delivery.folder, secretsSignatureFile(node)), signature);
    await onMachine("systemctl reload derpkit-updater.service");
  }

  const has = (token: string): Promise<void> =>
    eventually(
      "the relay has its secret",
      async () => (await onMachine(`cat ${credential}`)) === `${token}\n`,
    );

  const says = (text: string): Promise<void> =>
    eventually(`the updater says ${text}`, async () =>
      (await onMachine("cat /run/derpkit/updater.json")).includes(text),
    );

  test("before anybody has sealed anything the relay starts, its credential a line with nothing in it", async () => {
    await says('"state":"current"');
    await has("");
    assert.match(await onMachine("cat /run/derpkit/updater.json"), /"secrets":null/);
    assert.match(await onMachine("systemctl is-active derpkit-relay.service"), /^active/);
  });

  test("what is sealed reaches the relay, is kept as it came, and is in clear in memory alone", async () => {
    await publish(1, `${canary}-1`);
    await has(`${canary}-1`);
    await says('"secrets":1');
    const found = await onMachine(`grep -rl ${canary} /var /etc /opt /root /tmp 2>/dev/null; true`);
    assert.equal(found, "");
    assert.doesNotMatch(await onMachine("journalctl --no-pager"), new RegExp(canary));
  });

  test("newer ones are taken up by a relay that runs; older ones are refused, and it goes on", async () => {
    await publish(2, `${canary}-2`);
    await has(`${canary}-2`);
    await publish(1, `${canary}-1`);
    await says('"code":"secrets-replayed"');
    assert.equal(await onMachine(`cat ${credential}`), `${canary}-2\n`);
    assert.match(await onMachine("systemctl is-active derpkit-relay.service"), /^active/);
  });
});
