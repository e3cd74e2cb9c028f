import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { knownAfterUp, type ProgramResult, readable, runProgram } from "./program.ts";
import type { StackFile } from "./stack-file.ts";

const alfa = { id: 901, code: "alfa", name: "Alfa & <co> é", cloud: "local" };
const bravo = { id: 902, code: "bravo", name: "Bravo", cloud: "local", nodes: [{}, { derpPort: 8443 }] };

/** A stack with these regions, in a folder of its own. */
async function startStack(
  t: TestContext,
): Promise<(regions: unknown, secretKeys?: string[]) => Promise<ProgramResult>> {
  const root = temporaryFolder(t);
  return async (regions, secretKeys = []) => {
    const config = new Map([["derpkit:regions", JSON.stringify(regions)]]);
    const file = join(root, "Pulumi.test.yaml");
    const stack: StackFile = { stack: "test", file, root, config, secretKeys: new Set(secretKeys) };
    return runProgram(stack, (message) => assert.fail(message));
  };
}

test("the resources are the stack, the fleet, a region for each and a node for each, every one below its parent", async (t) => {
  const run = await startStack(t);
  const { resources } = await run([bravo, alfa]);
  const shown = resources.map(({ type, name, parent }) => `${type} ${name} < ${parent ?? "nothing"}`);
  assert.equal(shown[0], "pulumi:pulumi:Stack derpkit-test < nothing");
  assert.deepEqual(shown.toSorted(), [
    "derpkit:index:RelayFleet derp < derpkit-test",
    "derpkit:index:RelayNode derp-901-901a < derp-901",
    "derpkit:index:RelayNode derp-902-902a < derp-902",
    "derpkit:index:RelayNode derp-902-902b < derp-902",
    "derpkit:index:RelayRegion derp-901 < derp",
    "derpkit:index:RelayRegion derp-902 < derp",
    "pulumi:pulumi:Stack derpkit-test < nothing",
  ]);
});

test("inputs and outputs of a node are what the engine would record", async (t) => {
  const run = await startStack(t);
  const { resources, nodes } = await run([alfa]);
  const node = resources.find(({ name }) => name === "derp-901-901a");
  assert.deepEqual(node?.inputs, { nodeName: "901a", regionId: 901 });
  assert.deepEqual(node?.outputs, { node: nodes[0] });
});

test("two runs give the same text, with the keys of every object sorted", async (t) => {
  const run = await startStack(t);
  const first = await run([bravo, alfa]);
  const second = await run([bravo, alfa]);
  assert.equal(JSON.stringify(second), JSON.stringify(first));
  const { derpMap, nodes } = first;
  JSON.stringify({ derpMap, nodes }, (_, value: unknown) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      assert.deepEqual(Object.keys(value), Object.keys(value).toSorted());
    }
    return value;
  });
  assert.equal(derpMap.Regions["902"]?.Nodes[1]?.DERPPort, 8443);
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ["901a", "902a", "902b"],
  );
});

test("a mistake in the configuration comes out as it is, and the next run is not affected", async (t) => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): number => unhandled.push(reason);
  process.on("unhandledRejection", note);
  t.after(() => process.off("unhandledRejection", note));
  const run = await startStack(t);
  await assert.rejects(run([{ ...alfa, id: 5 }]), (error) => {
    assert.ok(error instanceof KitError);
    assert.equal(error.code, "config-invalid");
    assert.match(error.where ?? "", /Pulumi\.test\.yaml$/);
    return true;
  });
  await assert.rejects(run([alfa], ["derpkit:regions"]), KitError);
  assert.equal((await run([alfa])).nodes.length, 1);
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test("unknown values and secrets are shown as words, however deep they lie", () => {
  const { unknownValue, specialSigKey, specialSecretSig } = pulumi.runtime;
  const secret = { [specialSigKey]: specialSecretSig, value: { password: "hunter2" } };
  const sent = { ipv4: unknownValue, list: [{ token: secret, port: 443 }] };
  assert.deepEqual(readable({ toJavaScript: () => sent }), {
    ipv4: knownAfterUp,
    list: [{ token: "[secret]", port: 443 }],
  });
});

test("a gate that was skipped until a day that is over is a mistake, which says why it was", async (t) => {
  const root = temporaryFolder(t);
  const region = {
    ...alfa,
    cloud: "hetzner",
    location: "fsn1",
    certificates: "acme-ip",
    admission: { anyone: true },
    skipGate: { reason: "flooded", until: "2020-01-31" },
  };
  const config = new Map([
    ["derpkit:regions", JSON.stringify([region])],
    ["derpkit:delivery", JSON.stringify({ url: "https://downloads.example.com" })],
    ["derpkit:trustedKeys", JSON.stringify([`MCowBQYDK2VwAyEA${"A".repeat(43)}=`])],
  ]);
  const file = join(root, "Pulumi.test.yaml");
  await assert.rejects(runProgram({ stack: "test", file, root, config, secretKeys: new Set() }), (error) => {
    assert.ok(error instanceof KitError);
    assert.deepEqual(error.problems, [
      {
        path: "region 901",
        message: "skipGate ended on 2020-01-31 (flooded); remove it, or write another day",
      },
    ]);
    return true;
  });
});
