/** A fleet whose releases are in a bucket of its own, under Pulumi's engine: what is there, and what a change does to it. */
import assert from "node:assert/strict";
import { createPublicKey, type KeyObject } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { makeSigningKey, renderSigningKey } from "../infra/delivery/signing-key.ts";
import { decodePublicKey, encodePublicKey } from "../relay/updater/public-key.ts";
import { decodeManifest, sha256Hex } from "../relay/updater/manifest.ts";
import { openManifest } from "../relay/updater/signed-manifest.ts";
import { assertNowhere, CloudFleet, stateFiles } from "./cloud-fleet.ts";
import { type Bucket, type CloudObject, whyNoClouds } from "./simcloud.ts";
import { readDelivered } from "./stand-in-updater.ts";

const stack = "aws";

/** A second wave in another place. */
const second = `    - id: 932
      code: dub
      name: Dublin
      cloud: aws
      location: eu-west-1
      certificates: acme-ip
      wave: 2
      admission: { anyone: true }
`;

describe("releases in a bucket of the stack's own", { skip: whyNoClouds ?? false }, () => {
  const privateKey = makeSigningKey();
  const secret = renderSigningKey(privateKey);
  const trusted = encodePublicKey(privateKey);
  let fleet: CloudFleet;

  before(async () => {
    fleet = await CloudFleet.start(stack);
    fleet.edit((text) => text.replace(/- MCow.*$/m, `- ${trusted}`));
  });
  after(() => fleet[Symbol.asyncDispose]());

  const bucket = async (): Promise<Bucket> => {
    const [only] = (await fleet.clouds.state()).aws.s3;
    assert.ok(only);
    return only;
  };
  const file = async (name: string): Promise<Buffer> => (await readDelivered(fleet, name)) ?? Buffer.alloc(0);
  const machines = async (): Promise<unknown[]> =>
    Object.values((await fleet.clouds.state()).aws.regions)
      .flatMap(({ instances = [] }) => instances)
      .map(({ id }: CloudObject) => id);

  /** What the next `up` would do, by what: names without the fleet's. */
  function planned(): Record<string, string[]> {
    const args = ["preview", "--json", "--non-interactive", "--stack", stack];
    const { stdout, stderr, status } = fleet.project.run("pulumi", args);
    assert.equal(status, 0, stdout + stderr);
    const { steps }: { steps: { op: string; urn: string }[] } = JSON.parse(stdout);
    const changes = steps
      .filter(({ op }) => op !== "same")
      .map(({ op, urn }) => [op, urn.split("::").at(-1) ?? ""] as const);
    return Object.fromEntries(
      [...Map.groupBy(changes, ([op]) => op)].map(([op, those]) => [
        op,
        those.map(([, name]) => name).toSorted(),
      ]),
    );
  }

  /** Changes a file of the program. */
  function editSource(name: string, change: (text: string) => string): void {
    const where = path.join(fleet.project.project, name);
    const text = readFileSync(where, "utf8");
    assert.notEqual(change(text), text, `${name} is changed`);
    writeFileSync(where, change(text));
  }

  function succeeds(): void {
    const { status, text } = fleet.up();
    assert.equal(status, 0, text);
  }

  test("nothing is made while there is no key to sign with, or one that nobody trusts", async () => {
    const preview = fleet.try("preview");
    assert.equal(preview.status, 0, preview.text);
    assert.match(preview.text, /there is no key that signs releases here/);
    const without = fleet.up();
    assert.notEqual(without.status, 0);
    assert.match(without.text, /derpkit:signingKey: is missing[^]*npm run keys -- init/);
    fleet.setSecret("signingKey", renderSigningKey(makeSigningKey()));
    const foreign = fleet.up();
    assert.notEqual(foreign.status, 0);
    assert.match(foreign.text, /\[signing-key-untrusted\]/);
    assert.deepEqual((await fleet.clouds.state()).aws.s3, []);
    fleet.setSecret("signingKey", secret);
  });

  test("an up delivers a release that machines take, and then there is nothing to do", async () => {
    succeeds();
    fleet.staysAsItIs();
    const { objects } = await bucket();
    const bytes = await file("euc/manifest.json");
    const signature = await file("euc/manifest.sig");
    const manifest = openManifest({ manifest: bytes, signature }, [createPublicKey(privateKey)]);
    assert.deepEqual(manifest.trustedKeys, [trusted]);
    assert.deepEqual(
      objects.map(({ key, sha256, size }) => ({ key, sha256, size })).toSorted(byKey),
      [
        ...manifest.files.map(({ path: name, sha256, size }) => ({ key: `euc/${name}`, sha256, size })),
        { key: "euc/manifest.json", sha256: sha256Hex(bytes), size: bytes.length },
        { key: "euc/manifest.sig", sha256: sha256Hex(signature), size: signature.length },
      ].toSorted(byKey),
    );
    const { euc }: Record<string, { sequence: number }> = JSON.parse(fleet.output("releases"));
    assert.equal(manifest.sequence, euc?.sequence);
    assertNowhere(secret, stateFiles(fleet));
  });

  test("the nodes may read, each by its address, and nobody else", async () => {
    const { block, policy } = await bucket();
    assert.deepEqual(Object.values(block), [true, true, true, true]);
    const { Statement }: { Statement: { Condition: { IpAddress: Record<string, string[]> } }[] } = JSON.parse(
      policy.policy,
    );
    const [node]: { ipv4: string; ipv6: string }[] = JSON.parse(fleet.output("nodes"));
    assert.deepEqual(
      Statement.map(({ Condition }) => Condition.IpAddress["aws:SourceIp"]),
      [[`${node?.ipv4}/32`, `${node?.ipv6}/128`].toSorted()],
    );
    const [instance] = (await fleet.clouds.state()).aws.regions["eu-central-1"]?.["instances"] ?? [];
    assert.match(
      Buffer.from(String(instance?.["userData"]), "base64").toString(),
      /^ *DERPKIT_DELIVERY=https:\/\/example-derp-releases\.s3\.dualstack\.eu-central-1\.amazonaws\.com\/euc$/m,
    );
  });

  test("what is no content is no change: a document, a comment of cloud-init, another folder", () => {
    writeFileSync(path.join(fleet.project.project, "NOTES.md"), "a document\n");
    editSource("infra/bootstrap/stage0.ts", (text) =>
      text.replace("# Mounts the node's volume", "# Another comment. Mounts the node's volume"),
    );
    assert.deepEqual(planned(), {});
    cpSync(path.join(fleet.project.project, ".derpkit"), path.join(fleet.project.folder, "kept"), {
      recursive: true,
    });
    rmSync(path.join(fleet.project.project, ".derpkit"), { recursive: true });
    assert.deepEqual(planned(), {});
  });

  const release = ["derp-releases-931-manifest.json", "derp-releases-931-manifest.sig"];

  test("another relay, another unit and another runtime are updates, and no machine is touched", async () => {
    const present = await machines();
    editSource("relay/main.ts", (text) => `${text}\nprocess.title = "another relay";\n`);
    assert.deepEqual(planned(), { update: [...release, "derp-releases-931-relay.mjs"] });
    succeeds();
    editSource("infra/bootstrap/units.ts", (text) =>
      text.replace("LimitNOFILE=", "LimitCORE=0\nLimitNOFILE="),
    );
    assert.deepEqual(planned(), {
      update: [...release, "derp-releases-931-units-931a-derpkit-relay.service"],
    });
    succeeds();
    fleet.edit((text) => text.replace("config:\n", "config:\n  derpkit:runtime: node\n"));
    assert.deepEqual(planned(), {
      create: ["derp-releases-931-runtime-archive-node-24.21.0-linux-arm64.tgz"],
      delete: ["derp-releases-931-runtime-archive-bun-1.4.5-linux-arm64.tgz"],
      update: release,
    });
    succeeds();
    assert.deepEqual(planned(), {});
    assert.deepEqual(await machines(), present);
  });

  test("what goes back comes after what it goes back from", async () => {
    const { sequence } = decodeManifest(await file("euc/manifest.json"));
    fleet.edit((text) => text.replace("  derpkit:runtime: node\n", ""));
    succeeds();
    const now = decodeManifest(await file("euc/manifest.json"));
    assert.ok(now.sequence > sequence);
    assert.ok(now.files.some(({ path: name }) => name.includes("bun-")));
  });

  test("a change of the signing key is two releases, and no machine is touched", async () => {
    const present = await machines();
    const rotate = (): void => {
      const { status, stdout, stderr } = fleet.project.run(process.execPath, [
        "scripts/run.mjs",
        "keys",
        "rotate",
        "--stack",
        stack,
      ]);
      assert.equal(status, 0, stdout + stderr);
    };
    const published = async (key: KeyObject) => {
      const [bytes, signature] = [await file("euc/manifest.json"), await file("euc/manifest.sig")];
      return openManifest({ manifest: bytes, signature }, [key]).trustedKeys ?? [];
    };
    rotate();
    assert.deepEqual(planned(), { update: release });
    succeeds();
    const both = await published(createPublicKey(privateKey));
    const next = both.find((key) => key !== trusted) ?? "";
    assert.deepEqual(both, [trusted, next].toSorted());
    rotate();
    succeeds();
    assert.deepEqual(await published(decodePublicKey(next)), [next]);
    assert.deepEqual(planned(), {});
    assert.deepEqual(await machines(), present);
  });

  test("another region is one more folder, and its nodes may read too", async () => {
    fleet.edit((text) => text.replace(/ {2}derpkit:regions:\n/, (key) => key + second));
    succeeds();
    assert.deepEqual(planned(), {});
    const { objects, policy } = await bucket();
    assert.ok(objects.some(({ key }) => key === "dub/manifest.json"));
    assert.equal(policy.policy.match(/\/(?:32|128)"/g)?.length, 4);
  });

  test("an up that fails while it publishes is finished by the next", async () => {
    const { sequence } = decodeManifest(await file("euc/manifest.json"));
    editSource("relay/main.ts", (text) => text.replace("another relay", "yet another relay"));
    await fleet.clouds.fail({ method: "AWS", path: "PutObject", times: 1, message: "injected for the test" });
    const { status, text } = fleet.up();
    assert.notEqual(status, 0);
    assert.match(text, /injected for the test/);
    succeeds();
    assert.ok(decodeManifest(await file("euc/manifest.json")).sequence > sequence);
    assert.deepEqual(fleet.pendingOperations(), []);
    fleet.staysAsItIs();
  });

  test("a destroy leaves nothing", async () => {
    fleet.edit((text) => text.replaceAll(/^( +)cloud: aws$/gm, "$1cloud: aws\n$1state: retired"));
    succeeds();
    const { status, text } = fleet.destroy();
    assert.equal(status, 0, text);
    assert.deepEqual((await fleet.clouds.state()).aws.s3, []);
  });
});

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}
