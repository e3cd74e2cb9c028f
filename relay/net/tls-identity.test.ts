import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificatePair } from "../config/certificate-files.ts";
import { relayPublic } from "../testing/vectors.ts";
import { createPerPair, tlsOptions } from "./tls-identity.ts";

const pair = (chain: string): CertificatePair => ({ chain, key: "key" });

test("what is sent is the chain as it is, and behind it a meta certificate that is made anew each time", () => {
  const given = pair("leaf\nissuer\n\n");
  const [one, other] = [0, 1].map(() => String(tlsOptions(given, relayPublic, new Date()).cert));
  assert.match(one ?? "", /^leaf\nissuer\n-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
  assert.notEqual(one, other);
  assert.deepEqual(given, pair("leaf\nissuer\n\n"));
});

test("without a pair nothing is shown, by the same rules of TLS", () => {
  const { cert, key, ...rules } = tlsOptions(pair("leaf"), relayPublic, new Date());
  assert.deepEqual([typeof cert, key], ["string", "key"]);
  assert.deepEqual(tlsOptions(undefined, relayPublic, new Date()), rules);
});

test("something is made of each pair once, and again after a refresh", () => {
  let made = 0;
  const perPair = createPerPair((of) => `${of?.chain} ${++made}`);
  const [one, other] = [pair("one"), pair("other")];
  const all = (): string[] => [perPair.of(undefined), perPair.of(one), perPair.of(other)];
  assert.deepEqual(all(), ["undefined 1", "one 2", "other 3"]);
  assert.deepEqual(all(), ["undefined 1", "one 2", "other 3"]);
  perPair.refresh();
  assert.deepEqual(all(), ["undefined 1", "one 4", "other 5"]);
});
