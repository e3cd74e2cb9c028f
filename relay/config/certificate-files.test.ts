import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import path from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { certificatePaths, loadCertificate } from "./certificate-files.ts";

const now = new Date("2026-01-01T00:00:00Z");
const silent = (): void => {};

test("38. a pair made in mode manual is valid for a year, one that is to be pinned for ten", async (t) => {
  for (const [certMode, hostname, years] of [
    ["manual", "192.0.2.1", 1],
    ["pinned", "192.0.2.1", 10],
    ["pinned", "relay.example", 10],
  ] as const) {
    const { chain } = await loadCertificate({ certMode, hostname }, temporaryFolder(t), now, silent);
    const { validFromDate, validToDate } = new X509Certificate(chain);
    assert.ok(validFromDate < now, "for clients whose clock is behind");
    const days = (validToDate.getTime() - now.getTime()) / 86_400_000;
    assert.equal(Math.round(days / 365.25), years);
  }
});

test("38. in mode manual none is made for a DNS name, and the same pair is read again", async (t) => {
  const folder = temporaryFolder(t);
  await assert.rejects(
    loadCertificate({ certMode: "manual", hostname: "relay.example" }, folder, now, silent),
    {
      code: "certificate-invalid",
    },
  );
  const ip = { certMode: "manual", hostname: "192.0.2.1" } as const;
  assert.deepEqual(
    await loadCertificate(ip, folder, now, silent),
    await loadCertificate(ip, folder, now, silent),
  );
});

test("40. Given hostname `a*b:c/d`, then file names use `abcd`.", () => {
  const { crt, key } = certificatePaths("certs", "a*b:c/d");
  assert.deepEqual([crt, key], [path.join("certs", "abcd.crt"), path.join("certs", "abcd.key")]);
});
