/**
 * Secrets of a closed region at a cloud without roles, under Pulumi's engine: learned keys, sealed documents and the gate that
 * waits for them. A real relay on loopback stands for the machine, which does not boot here; the test does its updater's part.
 */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { makeSigningKey, renderSigningKey } from "../infra/delivery/signing-key.ts";
import { openSealedSecrets } from "../relay/agent/sealed-secrets.ts";
import { parseKeyFile } from "../relay/crypto/key-file.ts";
import { publicKeyOf } from "../relay/crypto/keys.ts";
import { encodePublicKey } from "../relay/updater/public-key.ts";
import { assertNowhere, CloudFleet, stateFiles } from "./cloud-fleet.ts";
import { leadTo } from "./detours.ts";
import { createPlace, startRelayProcess } from "./relay-process.ts";
import { whyNoClouds } from "./simcloud.ts";
import { readDelivered, upWithUpdaters } from "./stand-in-updater.ts";

const stack = "pinned";
const [derpPort, stunPort] = [8443, 8543];

const signingKey = makeSigningKey();
const token = "canary-of-a-status-token-0123456789";

const renderConfig = (pin: string): string => `
  derpkit:domain: derp.example.com
  derpkit:verify: { firstBootMinutes: 3, upgradeMinutes: 3 }
  derpkit:delivery: { s3: { bucket: example-derp-releases, location: eu-central-1 } }
  derpkit:trustedKeys: ["${encodePublicKey(signingKey)}"]
  derpkit:regions:
    - id: 901
      code: nbg
      name: Nuremberg
      cloud: hetzner
      location: nbg1
      addresses: [ipv4]
      certificates: pinned
      admission: { allow: [] }
      statusToken: statusReader
      nodes: [{ pin: "${pin}", derpPort: ${derpPort}, stunPort: ${stunPort} }]
`;

async function startSealedFleet(t: TestContext) {
  const place = await createPlace(t, "901a.derp.example.com", undefined);
  const detours = leadTo(place, "203.0.113", { derp: derpPort, stun: stunPort });
  const fleet = await CloudFleet.start(stack, { DERPKIT_CONNECT_TO: detours.join(",") });
  t.after(() => fleet[Symbol.asyncDispose]());
  fleet.edit((text) => text.replace(/config:\n[^]*$/, `config:${renderConfig(place.files.pin)}`));
  fleet.setSecret("signingKey", renderSigningKey(signingKey));
  fleet.setSecret("statusReader", token);
  await writeFile(path.join(place.files.folder, "nobody.txt"), "# nobody\n");
  const flags = {
    "admission-list": "nobody.txt",
    "updater-status-file": path.join(place.files.folder, "updater.json"),
  };
  await startRelayProcess(t, { kind: "node", ...place, flags });
  const updater = { region: "nbg", node: "901a", statusFile: flags["updater-status-file"] };
  return { fleet, place, up: () => upWithUpdaters(fleet, [updater]) };
}

test(
  "a closed region's secrets are sealed to the key that its relay told, and waited for; newer ones follow without a machine",
  { skip: whyNoClouds ?? false },
  async (t) => {
    const { fleet, place, up } = await startSealedFleet(t);
    assert.equal(await up(), 0, "the first up");
    const keyFile = path.join(place.files.folder, "derper.key");
    const privateKey = parseKeyFile(await readFile(keyFile, "utf8"), keyFile);
    const recipient = {
      stack,
      region: "nbg",
      node: "901a",
      privateKey,
      trustedKeys: [createPublicKey(signingKey)],
    };
    const open = async () =>
      openSealedSecrets(
        {
          document: (await readDelivered(fleet, "nbg/secrets/901a.json")) ?? Buffer.alloc(0),
          signature: (await readDelivered(fleet, "nbg/secrets/901a.sig")) ?? Buffer.alloc(0),
        },
        recipient,
      );
    const first = await open();
    assert.deepEqual([...first.secrets], [["status-token", token]]);
    const gates = fleet.project.resources(stack).filter(({ type }) => type === "command:local:Command");
    assert.deepEqual(
      gates.map(({ urn }) => urn.split("::").at(-1)),
      ["derp-901-gate", "derp-901-keys"],
    );
    const told = { "901a": publicKeyOf(privateKey).toString("hex") };
    assert.deepEqual(JSON.parse(String(gates[1]?.outputs?.["stdout"])), told);
    fleet.staysAsItIs();
    assertNowhere(token, [
      ...stateFiles(fleet),
      Buffer.from(JSON.stringify(await fleet.clouds.state())),
      Buffer.from(fleet.output("releases")),
    ]);

    const servers = (await fleet.clouds.state()).hetzner["servers"]?.map(({ id }) => id);
    const next = "canary-of-another-token-0123456789";
    fleet.setSecret("statusReader", next);
    assert.equal(await up(), 0, "the second up");
    const second = await open();
    assert.deepEqual([...second.secrets], [["status-token", next]]);
    assert.ok(second.sequence > first.sequence);
    assert.deepEqual(
      (await fleet.clouds.state()).hetzner["servers"]?.map(({ id }) => id),
      servers,
    );
    assertNowhere(next, stateFiles(fleet));
  },
);
