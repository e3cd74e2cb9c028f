import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { readCertificateFolders } from "./certificate-folders.ts";

test("of several folders in SSL_CERT_DIR each gives its certificates, and all else there is passed over", (t) => {
  const root = temporaryFolder(t);
  const [one, two, three] = ["one", "two", "three"].map((hostName) =>
    createSelfSigned({ hostName, ...pinnedValidity(new Date()) }).certificatePem.trim(),
  );
  for (const folder of ["a", "b/sub"]) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, "a", "bundle.pem"), `# two\n${one}\n${two}\n`);
  writeFileSync(join(root, "b", "c.0"), `${three}\n`);
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  writeFileSync(join(root, "b", "README"), `no certificate\n${broken}\n`);
  const folders = `${join(root, "a")}:/nowhere:${join(root, "b")}`;
  assert.deepEqual(new Set(readCertificateFolders(folders)), new Set([one, two, three]));
  assert.deepEqual([readCertificateFolders(""), readCertificateFolders(join(root, "a"))], [[], []]);
});
