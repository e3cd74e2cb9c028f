/** Test vectors that were generated with the Go implementation. */
import { nodeKey, privateKeyFromSeed } from "../crypto/keys.ts";

const hex = (...lines: readonly string[]): Buffer => Buffer.from(lines.join(""), "hex");

export const relayPrivate = privateKeyFromSeed(
  hex("0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f60"),
);
export const relayPublic = nodeKey(hex("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"));
export const clientPrivate = privateKeyFromSeed(
  hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e5f"),
);
export const clientPublic = nodeKey(hex("493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531d"));
export const fixedNonce = hex("000102030405060708090a0b0c0d0e0f1011121314151617");

export const vectors = {
  serverKey: hex("010000002844455250f09f9491", relayPublic.toString("hex")),
  /** Plaintext `{"version":2,"CanAckPings":true}`. */
  clientInfo: hex(
    "0200000068",
    clientPublic.toString("hex"),
    fixedNonce.toString("hex"),
    "38677171ce62ee4b1041607f7627b22e72020786a1e3a003cb7efea2638dccd71171d4b0aa75cce9087af99d55d7df00",
  ),
  /** Plaintext `{"version":2}`. */
  serverInfo: hex(
    "0300000035",
    fixedNonce.toString("hex"),
    "8b6d55dc23e1f5b26f8b8c31c641230872020786a1e3a003cb7efea232",
  ),
} as const;
