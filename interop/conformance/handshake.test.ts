/** Statements 4 to 9 and 45 to 48: keys, files and the login. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe } from "node:test";
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { generatePrivateKey, publicKeyOf } from "../../relay/crypto/keys.ts";
import { parseKeyFile, renderKeyFile } from "../../relay/crypto/key-file.ts";
import { boxOverhead, FrameType, keyLength, nonceLength } from "../../relay/protocol/frame.ts";
import { openServerInfo } from "../../relay/protocol/handshake.ts";
import { encodeFrame } from "../../relay/protocol/writer.ts";
import { clientPrivate, relayPrivate, relayPublic, vectors } from "../../relay/testing/vectors.ts";
import { clientInfo, isLetIn, join, type Place, say, upgrade, upgradeRequest, usualInfo } from "./client.ts";
import { ask, headerOf } from "./http.ts";
import { refusal, startRelayUnderTest, whyMissing } from "./relay-under-test.ts";
import { ownFiles, ownRelay, perRelay, statement } from "./suite.ts";

const meshKey = "0123456789abcdef".repeat(4);

perRelay(
  "4. Given the vectors' keys, then ServerKey is the vector, the vector's ClientInfo is opened, and ServerInfo opens with its key.",
  {},
  async (t, kind) => {
    const own = await ownFiles(t);
    await writeFile(path.join(own.folder, "derper.key"), renderKeyFile(relayPrivate));
    const relay = await startRelayUnderTest(kind, { ...own, relayKey: relayPublic });
    t.after(() => relay.stop());
    const { incoming } = await say({ t, relay }, upgradeRequest(["Derp-Fast-Start: 1"]));
    assert.deepEqual(await incoming.take(vectors.serverKey.length), vectors.serverKey);
    const connection = await upgrade({ t, relay });
    connection.write(vectors.clientInfo);
    const { type, payload } = await connection.next();
    assert.equal(type, FrameType.serverInfo);
    assert.equal(openServerInfo(payload, relayPublic, clientPrivate)?.version, 2);
  },
);

perRelay(
  "5. Given mesh key text `badf00d`, when configured, then start-up fails; 64 hex with surrounding white space succeeds.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "mesh.key");
    const options = { flags: { "mesh-psk-file": file } };
    await writeFile(file, ` \n${meshKey}\n `);
    const relay = await startRelayUnderTest(kind, files, options);
    await relay.stop();
    await writeFile(file, "badf00d");
    assert.equal((await refusal(kind, files, options)).status, 1);
  },
);

perRelay(
  "6. Given a ClientInfo without, with a wrong and with the right mesh key, when compared, then only the right one is privileged; a server without mesh key grants nobody.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "mesh.key");
    await writeFile(file, meshKey);
    const withKey = await startRelayUnderTest(kind, files, { flags: { "mesh-psk-file": file } });
    t.after(() => withKey.stop());
    const without = await ownRelay(t, kind);
    const privileged = async (place: Place, key: string | undefined): Promise<boolean> => {
      const client = await join(place, { info: JSON.stringify({ meshKey: key, version: 2 }) });
      client.frame(FrameType.watchConns);
      return await client.sync().then(
        () => true,
        () => false,
      );
    };
    assert.equal(await privileged({ t, relay: withKey }, undefined), false);
    assert.equal(await privileged({ t, relay: withKey }, meshKey.replace("0", "1")), false);
    assert.equal(await privileged({ t, relay: withKey }, meshKey.replace(/f$/, "e")), false);
    assert.equal(await privileged({ t, relay: withKey }, meshKey), true);
    assert.equal(await privileged({ t, relay: without }, meshKey), false);
    assert.equal(await privileged({ t, relay: without }, "0".repeat(64)), false);
  },
);

perRelay(
  "7. Given text keys in upper-case hex, when parsed, then accepted; wrong prefix or 63 digits rejected; printing is lower case.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "derper.key");
    const original = await readFile(file, "utf8");
    const digits = /[0-9a-f]{64}/;
    await writeFile(
      file,
      original.replace(digits, (hex) => hex.toUpperCase()),
    );
    const relay = await startRelayUnderTest(kind, files);
    t.after(() => relay.stop());
    await join({ t, relay });
    assert.match((await announcedKey(relay)) ?? "", /^[0-9a-f]{64}$/);
    for (const wrong of [
      original.replace("privkey:", "nodekey:"),
      original.replace(digits, (hex) => hex.slice(1)),
      original.replace(digits, (hex) => `${hex}0`),
      "not JSON",
    ]) {
      await writeFile(file, wrong);
      assert.equal((await refusal(kind, files)).status, 1);
    }
  },
);

const verdicts: readonly (readonly [json: string, accepted: boolean])[] = [
  ["{}", true],
  ["null", true],
  ['{"unknown":1}', true],
  ['{"VERSION":3}', true],
  [`{"Version":5,"MeshKey":"${meshKey}"}`, true],
  ['{"meshKey":""}', false],
  ['{"meshKey":null}', false],
  ['{"meshKey":"abcdefg"}', false],
  [`{"meshKey":"${meshKey}0123"}`, false],
  ['{"version":"2"}', false],
  ['{"CanAckPings":1}', false],
  ["[]", false],
];

statement(
  "8. Given each JSON of the list of verdicts in ClientInfo, when received, then accepted or closed as listed.",
  async (rig) => {
    for (const [json, accepted] of verdicts) assert.equal(await isLetIn(rig, { info: json }), accepted, json);
  },
);

/** What Go's decoder says beyond the list, found by asking derper. */
const furtherVerdicts: readonly (readonly [json: string, accepted: boolean])[] = [
  ["", false],
  ["true", false],
  ["1", false],
  ['"x"', false],
  [" {} ", true],
  ["{}{}", false],
  ["{} x", false],
  ["{,}", false],
  ["\uFEFF{}", false],
  ['{"version":null}', true],
  ['{"version":2.0}', false],
  ['{"version":2.5}', false],
  ['{"version":2e0}', false],
  ['{"version":-1}', true],
  ['{"version":-0}', true],
  ['{"version":9007199254740993}', true],
  ['{"version":9223372036854775807}', true],
  ['{"version":9223372036854775808}', false],
  ['{"version":2,"version":3}', true],
  ['{"version":2,"version":"3"}', false],
  ['{"version":"2","version":3}', false],
  ['{"CanAckPings":null}', true],
  ['{"isprober":true}', true],
  ['{"IsProber":"true"}', false],
  ['{"AppName":null}', true],
  ['{"AppName":5}', false],
  ['{"AppName":"\\ud800"}', true],
  ['{"AppName":"\u0001"}', false],
  ['{"ver\u017fion":"2"}', false],
  ['{"__proto__":{"version":"2"}}', true],
  [`{"meshKey":"${"z".repeat(64)}"}`, false],
  [`{"meshKey":"${meshKey.toUpperCase()}"}`, true],
  [`{"meshKey":" ${meshKey}"}`, false],
  [`{"meshKey":"","meshKey":"${meshKey}"}`, false],
  [`{"meshKey":"${meshKey}","MESHKEY":""}`, false],
  [`{"a":${"[".repeat(9_999)}${"]".repeat(9_999)}}`, true],
  [`{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, false],
];
describe("8. Given any other JSON in ClientInfo, then accepted or closed as Go's decoder does.", () => {
  for (const [json, accepted] of furtherVerdicts)
    statement(`${shorten(json)} is ${accepted ? "accepted" : "closed"}`, async (rig) =>
      assert.equal(await isLetIn(rig, { info: json }), accepted),
    );
});

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 50)}... (${text.length} characters)`;
}

perRelay(
  "9. Given a derper key file, when loaded, then the public key equals derper's; given none, then one is created with mode 0600 in derper's format that derper can load.",
  {},
  async (t, kind) => {
    const files = await ownFiles(t);
    const file = path.join(files.folder, "derper.key");
    await rm(file);
    const first = await startRelayUnderTest(kind, files);
    const announced = await announcedKey(first);
    await first.stop();
    const text = await readFile(file, "utf8");
    assert.match(text, /^\{\n\t"PrivateKey": "privkey:[0-9a-f]{64}"\n\}$/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal(publicKeyOf(parseKeyFile(text, file)).toString("hex"), announced);
    const other = kind === "derper" ? "node" : "derper";
    if (whyMissing(other) !== undefined) return;
    const second = await startRelayUnderTest(other, files);
    t.after(() => second.stop());
    assert.equal(await announcedKey(second), announced);
  },
);

async function announcedKey(relay: Place["relay"]): Promise<string | undefined> {
  return headerOf(await ask(relay, upgradeRequest()), "Derp-Public-Key");
}

statement(
  "45. Given a valid ClientInfo, then the first frame after ServerKey is ServerInfo, opening to JSON with version 2.",
  async (rig) => {
    const privateKey = generatePrivateKey();
    const connection = await upgrade(rig);
    connection.write(clientInfo(rig.relay.relayKey, privateKey, usualInfo));
    const { type, payload } = await connection.next();
    assert.equal(type, FrameType.serverInfo);
    assert.equal(payload.length, 53);
    assert.deepEqual(openServerInfo(payload, rig.relay.relayKey, privateKey), {
      version: 2,
      tokenBucketBytesPerSecond: 0,
      tokenBucketBytesBurst: 0,
    });
  },
);

const badLogins: Readonly<Record<string, (place: Place) => Uint8Array>> = {
  "a first frame of another type": () => encodeFrame(FrameType.ping, Buffer.alloc(8)),
  "an unknown first frame": () => encodeFrame(0x77),
  "length 55": () => encodeFrame(FrameType.clientInfo, Buffer.alloc(55, 1)),
  "length 56, without a box": () => encodeFrame(FrameType.clientInfo, Buffer.alloc(56, 1)),
  "length 262145": ({ relay }) => clientInfo(relay.relayKey, generatePrivateKey(), infoThatFills(262_145)),
  "a box sealed to another key": () =>
    clientInfo(publicKeyOf(generatePrivateKey()), generatePrivateKey(), usualInfo),
  "a box of another sender": ({ relay }) => {
    const frame = clientInfo(relay.relayKey, generatePrivateKey(), usualInfo);
    frame.set(publicKeyOf(generatePrivateKey()), 5);
    return frame;
  },
  "garbage JSON": ({ relay }) => clientInfo(relay.relayKey, generatePrivateKey(), randomBytes(40)),
};
describe("46. Given a first frame of another type, length 55, length 262 145, a box sealed to another key, or garbage JSON, then the connection closes without any further frame.", () => {
  for (const [what, encode] of Object.entries(badLogins))
    statement(what, async (rig) => {
      const connection = await upgrade(rig);
      connection.write(encode(rig));
      assert.deepEqual(await connection.closed(), []);
    });
});

statement("46. Given a ClientInfo of 262144 bytes, then it is accepted.", async (rig) => {
  await join(rig, { info: infoThatFills(262_144) });
});

/** ClientInfo's JSON that makes the frame's payload so long. */
function infoThatFills(length: number): string {
  const room = length - keyLength - nonceLength - boxOverhead - '{"x":""}'.length;
  return JSON.stringify({ x: "x".repeat(room) });
}

statement("47. Given version 1 or 99 in ClientInfo, then still accepted.", async (rig) => {
  for (const version of [1, 99]) await join(rig, { info: JSON.stringify({ version }) });
});

/**
 * Points of small order (RFC 7748, section 6.1), some with the bit that X25519 ignores. Whatever the other side's private
 * key is, the shared secret is all zero: anybody can seal for such a key.
 */
const smallOrder = [
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  `${"00".repeat(31)}80`,
  `ed${"ff".repeat(31)}`,
];

/** A ClientInfo frame of a key whose secret everybody knows. */
function infoOfNobody(key: string): Buffer {
  const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(new Uint8Array(bytes).buffer);
  const boxKey = new Uint32Array(8);
  hsalsa(words(Buffer.from("expand 32-byte k")), new Uint32Array(8), new Uint32Array(4), boxKey);
  const nonce = Buffer.alloc(nonceLength, 7);
  const box = xsalsa20poly1305(new Uint8Array(boxKey.buffer), nonce).encrypt(Buffer.from(usualInfo));
  return encodeFrame(FrameType.clientInfo, Buffer.from(key, "hex"), nonce, box);
}

statement("48. Given an all-zero client key, then closed, server unharmed.", async (rig) => {
  const bystander = await join(rig);
  const connection = await upgrade(rig);
  connection.write(infoOfNobody("00".repeat(32)));
  assert.deepEqual(await connection.closed(), []);
  await bystander.hearsNothing();
});

statement(
  "48. Given another client key of small order, for which anybody can seal, then closed; derper lets it in.",
  async (rig) => {
    const bystander = await join(rig);
    for (const key of smallOrder) {
      const connection = await upgrade(rig);
      connection.write(infoOfNobody(key));
      const admitted = connection.next().then(({ type }) => type === FrameType.serverInfo);
      const answer = await admitted.catch(() => false);
      assert.equal(answer, rig.differs("limits", { derper: true, ours: false }), key);
    }
    await bystander.hearsNothing();
  },
);
