import assert from "node:assert/strict";
import { test } from "node:test";
import { Box } from "../crypto/box.ts";
import { nodeKey, parsePrivateKey, publicKeyOf, renderShortKey } from "../crypto/keys.ts";
import {
  clientPrivate,
  clientPublic,
  fixedNonce,
  relayPrivate,
  relayPublic,
  vectors,
} from "../testing/vectors.ts";
import { encodeClientInfo, encodeServerInfo, openClientInfo, openServerInfo } from "./handshake.ts";
import { parseClientInfo, parseServerInfo, renderClientInfo, renderServerInfo } from "./info.ts";
import { encodeServerKey } from "./writer.ts";

const payloadOf = (frame: Buffer): Buffer => frame.subarray(5);

test("4. Given the vectors of section 15, when opened/sealed with the fixed nonce, then bytes match.", () => {
  assert.deepEqual(encodeServerKey(relayPublic), vectors.serverKey);
  const info = { version: 2, canAckPings: true, isProber: false, appName: "" };
  assert.deepEqual(
    encodeClientInfo(clientPrivate, clientPublic, relayPublic, fixedNonce, info),
    vectors.clientInfo,
  );
  const { box, ...greeting } = openClientInfo(payloadOf(vectors.clientInfo), relayPrivate) ?? {};
  assert.deepEqual(greeting, { key: clientPublic, info });
  assert.deepEqual(encodeServerInfo(box as Box, fixedNonce), vectors.serverInfo);
  assert.equal(openServerInfo(payloadOf(vectors.serverInfo), relayPublic, clientPrivate)?.version, 2);
});

test("the vectors' private keys have the vectors' public keys", () => {
  assert.deepEqual(publicKeyOf(relayPrivate), relayPublic);
  assert.deepEqual(publicKeyOf(clientPrivate), clientPublic);
  assert.equal(renderShortKey(clientPublic), "[ST6C/]");
});

test("46, 48. a ClientInfo that is short, sealed to another, changed or from the zero key does not open", () => {
  const payload = payloadOf(vectors.clientInfo);
  assert.equal(openClientInfo(payload.subarray(0, 56), relayPrivate), undefined);
  assert.equal(openClientInfo(payload, clientPrivate), undefined);
  for (let at = 0; at < payload.length; at++) {
    const changed = Buffer.from(payload);
    changed[at] = (changed[at] as number) ^ 1;
    assert.equal(openClientInfo(changed, relayPrivate), undefined, `byte ${at}`);
  }
  const fromZero = Buffer.from(payload).fill(0, 0, 32);
  assert.equal(openClientInfo(fromZero, relayPrivate), undefined);
});

test("with a public key of small order there is no box", () => {
  const smallOrder = nodeKey(Buffer.concat([Buffer.of(1), Buffer.alloc(31)]));
  assert.equal(Box.between(relayPrivate, smallOrder), undefined);
});

test("8. each ClientInfo document is accepted or refused as derper does", () => {
  const hex = "0123456789abcdef".repeat(4);
  const accepted = [
    "{}",
    "null",
    '{"unknown":1}',
    '{"VERSION":3}',
    `{"Version":5,"MeshKey":"${hex}"}`,
    '{"version":null}',
    '{"version":9223372036854775807}',
  ];
  const refused = [
    '{"meshKey":""}',
    '{"meshKey":null}',
    '{"meshKey":"abcdefg"}',
    `{"meshKey":null,"meshKey":"${hex}"}`,
    '{"mesh\u212Aey":""}',
    `{"meshKey":"${hex}abcd"}`,
    '{"version":"2"}',
    '{"version":1.5}',
    '{"version":2.0}',
    '{"version":"2","version":3}',
    '{"CanAckPings":1}',
    '{"AppName":7}',
    "[]",
    "3",
    "",
    "{",
  ];
  for (const json of accepted) assert.notEqual(parseClientInfo(Buffer.from(json)), undefined, json);
  for (const json of refused) assert.equal(parseClientInfo(Buffer.from(json)), undefined, json);
  assert.equal(parseClientInfo(Buffer.from('{"VERSION":3}'))?.version, 3);
  assert.equal(parseClientInfo(Buffer.from(`{"Version":5,"MeshKey":"${hex}"}`))?.meshKey, hex);
});

test("Info documents are written as Go writes them", () => {
  const mesh = { meshKey: "ab".repeat(32), version: 2, canAckPings: false, isProber: true, appName: "x" };
  assert.equal(
    renderClientInfo(mesh).toString(),
    `{"meshKey":"${"ab".repeat(32)}","version":2,"CanAckPings":false,"IsProber":true,"AppName":"x"}`,
  );
  assert.deepEqual(parseClientInfo(renderClientInfo(mesh)), mesh);
  const rates = { version: 2, tokenBucketBytesPerSecond: 5, tokenBucketBytesBurst: 6 };
  const json = '{"version":2,"TokenBucketBytesPerSecond":5,"TokenBucketBytesBurst":6}';
  assert.equal(renderServerInfo(rates).toString(), json);
  assert.deepEqual(parseServerInfo(Buffer.from(json)), rates);
  assert.equal(renderServerInfo().toString(), '{"version":2}');
});

test("49. Given the hook for client info, then AppName and IsProber are visible to the server.", () => {
  const info = { version: 2, canAckPings: false, isProber: true, appName: "derpprobe" };
  const frame = encodeClientInfo(clientPrivate, clientPublic, relayPublic, fixedNonce, info);
  assert.deepEqual(openClientInfo(payloadOf(frame), relayPrivate)?.info, info);
});

test("7. text keys are read in either case of hex and with exactly 64 digits", () => {
  const digits = "0002030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f60";
  assert.deepEqual(parsePrivateKey(`privkey:${digits}`), relayPrivate);
  for (const text of [
    digits,
    `nodekey:${digits}`,
    `privkey:${digits.slice(1)}`,
    `privkey:${digits}0`,
    `Privkey:${digits}`,
  ]) {
    assert.equal(parsePrivateKey(text), undefined, text);
  }
});
