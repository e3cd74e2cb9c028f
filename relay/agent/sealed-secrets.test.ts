import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { generatePrivateKey } from "../crypto/keys.ts";
import { KitError } from "../errors.ts";
import { signManifest } from "../updater/signature.ts";
import { openSealedSecrets, refuseReplayedSecrets } from "./sealed-secrets.ts";
import { changeDocument, sealFor, signing, testRecipient } from "./testing/sealed.ts";

const canary = "canary-77b1e0";
const given = new Map([["mesh-key", canary]]);

/** The code of the refusal, whose words show no secret. */
function refusalOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof KitError);
    assert.ok(!JSON.stringify([error.message, error.problems]).includes(canary));
    return `${error.code}: ${error.message}`;
  }
  return "";
}

test("a node opens what was sealed to its relay", () => {
  assert.deepEqual(openSealedSecrets(sealFor(given, 3), testRecipient), { sequence: 3, secrets: given });
});

const wrong: Readonly<Record<string, readonly [refusal: string, says: RegExp]>> = {
  "signed by another": [
    refusalOf(() =>
      openSealedSecrets(sealFor(given, 3), {
        ...testRecipient,
        trustedKeys: [generateKeyPairSync("ed25519").publicKey],
      }),
    ),
    /^secrets-signature/,
  ],
  "changed on the way": [
    refusalOf(() => {
      const { document, signature } = sealFor(given, 3);
      const changed = Buffer.from(Buffer.from(document).toString().replace('"sequence": 3', '"sequence": 4'));
      openSealedSecrets({ document: changed, signature }, testRecipient);
    }),
    /^secrets-signature/,
  ],
  "without a signature": [
    refusalOf(() =>
      openSealedSecrets({ ...sealFor(given, 3), signature: Buffer.from("no\n") }, testRecipient),
    ),
    /^secrets-signature/,
  ],
  "for another node": [
    refusalOf(() => openSealedSecrets(sealFor(given, 3), { ...testRecipient, node: "901b" })),
    /^secrets-foreign: The secrets are for stack test, region fra, node 901a; this is .* node 901b\.$/,
  ],
  "for another stack": [
    refusalOf(() => openSealedSecrets(sealFor(given, 3), { ...testRecipient, stack: "dev" })),
    /^secrets-foreign/,
  ],
  "for another key": [
    refusalOf(() =>
      openSealedSecrets(sealFor(given, 3), { ...testRecipient, privateKey: generatePrivateKey() }),
    ),
    /^secrets-foreign: The secrets are sealed to another key than the relay's\.$/,
  ],
  "of which a box is cut off": [
    refusalOf(() =>
      openSealedSecrets(
        changeDocument(sealFor(given, 3), ({ boxes }) => {
          for (const each of Object.values(boxes)) each.box = each.box.slice(0, 8);
        }),
        testRecipient,
      ),
    ),
    /^secrets-malformed: The box of mesh-key cannot be opened\.$/,
  ],
  "of which a box has a key of small order": [
    refusalOf(() =>
      openSealedSecrets(
        changeDocument(sealFor(given, 3), ({ boxes }) => {
          for (const each of Object.values(boxes)) each.key = Buffer.alloc(32).toString("base64");
        }),
        testRecipient,
      ),
    ),
    /^secrets-malformed/,
  ],
  "that are a release's manifest": [
    refusalOf(() => {
      const document = Buffer.from('{\n  "format": 1,\n  "kind": "release"\n}\n');
      const signature = signManifest(document, signing.privateKey);
      openSealedSecrets({ document, signature }, testRecipient);
    }),
    /^secrets-malformed/,
  ],
};

for (const [what, [refusal, says]] of Object.entries(wrong)) {
  test(`secrets ${what} are refused`, () => assert.match(refusal, says));
}

test("what is older than what was accepted is refused, and so is another of the same age", () => {
  const [two, three, four] = [2, 3, 4].map((sequence) => sealFor(given, sequence).document);
  assert.ok(two !== undefined && three !== undefined && four !== undefined);
  refuseReplayedSecrets(undefined, two);
  refuseReplayedSecrets(three, three);
  refuseReplayedSecrets(three, four);
  assert.match(
    refusalOf(() => refuseReplayedSecrets(three, two)),
    /^secrets-replayed: The secrets have sequence 2, and 3 has been accepted already\.$/,
  );
  const other = sealFor(new Map([["mesh-key", "another"]]), 3).document;
  assert.match(
    refusalOf(() => refuseReplayedSecrets(three, other)),
    /^secrets-replayed: Other secrets with sequence 3/,
  );
});
