/** Waves and their gates under Pulumi's engine: real relays on loopback stand for the machines, which do not boot here. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { makeSigningKey, renderSigningKey } from "../infra/delivery/signing-key.ts";
import { encodePublicKey } from "../relay/updater/public-key.ts";
import { CloudFleet } from "./cloud-fleet.ts";
import { leadTo } from "./detours.ts";
import { createPlace, type RelayPlace, startRelayProcess } from "./relay-process.ts";
import { type CloudObject, whyNoClouds } from "./simcloud.ts";
import { readDelivered, upWithUpdaters } from "./stand-in-updater.ts";

const skip = whyNoClouds ?? false;

/** The port tells the regions apart: which of them gets which address is the cloud's affair. */
const ports = { 901: 8441, 902: 8442 } as const;
type Id = keyof typeof ports;
const ids = [901, 902] as const;
const stunPort = (id: Id): number => ports[id] + 100;

function renderRegion(id: Id, { pin }: RelayPlace["files"]): string {
  return `
    - id: ${id}
      code: r${id}
      name: Region ${id}
      cloud: hetzner
      location: fsn1
      wave: ${id - 900}
      addresses: [ipv4]
      certificates: pinned
      admission: { anyone: true }
      nodes:
        - { pin: "${pin}", derpPort: ${ports[id]}, stunPort: ${stunPort(id)} }`;
}

/** A fleet of two waves whose relays run here. @param more of the stack's configuration */
async function startGatedFleet(t: TestContext, more = "") {
  const places = new Map<Id, RelayPlace>();
  for (const id of ids) places.set(id, await createPlace(t, `${id}a.derp.example.com`, undefined));
  const detours = [...places].flatMap(([id, place]) =>
    leadTo(place, "203.0.113", { derp: ports[id], stun: stunPort(id) }),
  );
  const fleet = await CloudFleet.start("pinned", { DERPKIT_CONNECT_TO: detours.join(",") });
  t.after(() => fleet[Symbol.asyncDispose]());
  const regions = [...places].map(([id, { files }]) => renderRegion(id, files)).join("");
  fleet.edit(
    (text) =>
      `${text
        .replace(
          "derpkit:gate: skip",
          `derpkit:verify: { firstBootMinutes: 1, upgradeMinutes: 1 }\n  derpkit:domain: derp.example.com${more}`,
        )
        .replace(/ {2}derpkit:regions:[^]*$/, "")}  derpkit:regions:${regions}\n`,
  );
  const relays = await Promise.all(
    [...places.values()].map((place) =>
      startRelayProcess(t, { kind: "node", ...place, flags: { "updater-status-file": statusFile(place) } }),
    ),
  );
  const updaters = [...places].map(([id, place]) => ({
    region: `r${id}`,
    node: `${id}a`,
    statusFile: statusFile(place),
  }));
  const serverOf = async (id: Id): Promise<CloudObject | undefined> =>
    (await fleet.clouds.state()).hetzner["servers"]?.find(
      ({ labels }) => Object(labels)["derpkit-region"] === String(id),
    );
  return { fleet, relays, serverOf, updaters };
}

const statusFile = ({ files }: RelayPlace): string => path.join(files.folder, "updater.json");

test(
  "each wave is shown to serve before the next is touched, and a wave that is not stops the rest",
  { skip },
  async (t) => {
    const { fleet, relays, serverOf } = await startGatedFleet(t);
    const first = fleet.up();
    assert.equal(first.status, 0, first.text);
    const gates = fleet.project.resources("pinned").filter(({ type }) => type === "command:local:Command");
    assert.deepEqual(
      gates.map(({ outputs }) => String(outputs?.["stdout"]).replace(/[0-9a-f]{12}$/, "…")),
      ["r901 serves bundle …", "r902 serves bundle …"],
    );
    fleet.staysAsItIs();

    const before = new Map(
      await Promise.all(ids.map(async (id) => [id, (await serverOf(id))?.["id"]] as const)),
    );
    await relays[0]?.kill();
    fleet.edit((text) => text.replaceAll("location: fsn1", "location: fsn1\n      generation: 2"));
    const { status, text } = fleet.up();
    assert.notEqual(status, 0);
    assert.match(text, /derp-901-gate[^]*r901 does not serve what it was given/);
    assert.notEqual((await serverOf(901))?.["id"], before.get(901), "the first wave was rebuilt");
    assert.equal((await serverOf(902))?.["id"], before.get(902), "the second was not touched");

    await relays[0]?.restart();
    const second = fleet.up();
    assert.equal(second.status, 0, second.text);
    assert.notEqual((await serverOf(902))?.["id"], before.get(902));
    assert.deepEqual(fleet.pendingOperations(), []);
    fleet.staysAsItIs();
  },
);

test(
  "a release that the first wave does not run reaches the second neither as a manifest nor on a machine",
  { skip },
  async (t) => {
    const signingKey = makeSigningKey();
    const { fleet, updaters, serverOf } = await startGatedFleet(
      t,
      "\n  derpkit:delivery: { s3: { bucket: example-derp-releases, location: eu-central-1 } }",
    );
    fleet.edit((text) =>
      text
        .replace(/ {2}derpkit:delivery:\n {4}url: .*\n/, "")
        .replace(/- MCow.*$/m, `- ${encodePublicKey(signingKey)}`),
    );
    fleet.setSecret("signingKey", renderSigningKey(signingKey));
    assert.equal(await upWithUpdaters(fleet, updaters), 0, "the first up");
    fleet.staysAsItIs();
    const manifestOf = (id: Id): Promise<Buffer | undefined> => readDelivered(fleet, `r${id}/manifest.json`);
    const before = await Promise.all(ids.map(async (id) => [await serverOf(id), await manifestOf(id)]));

    // The relays here stay what they are, as on a machine that refuses the release.
    const main = path.join(fleet.project.project, "relay/main.ts");
    writeFileSync(main, `${readFileSync(main, "utf8")}\nprocess.title = "another relay";\n`);
    assert.notEqual(await upWithUpdaters(fleet, updaters), 0, "the second up");
    const after = await Promise.all(ids.map(async (id) => [await serverOf(id), await manifestOf(id)]));
    assert.deepEqual(after[0]?.[0], before[0]?.[0], "no machine of the first wave is another");
    assert.notDeepEqual(after[0]?.[1], before[0]?.[1], "the first wave was offered the release");
    assert.deepEqual(after[1], before[1], "the second wave is untouched");
    assert.deepEqual(fleet.pendingOperations(), []);
  },
);
