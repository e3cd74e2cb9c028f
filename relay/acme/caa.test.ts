import assert from "node:assert/strict";
import test from "node:test";
import { renderCaa } from "./caa.ts";

test("a CAA record names the CA and each method that may be used", () => {
  assert.equal(
    renderCaa("letsencrypt.org", ["tls-alpn-01", "http-01"]),
    '0 issue "letsencrypt.org; validationmethods=tls-alpn-01,http-01"',
  );
  assert.equal(renderCaa("pki.goog", ["http-01"]), '0 issue "pki.goog; validationmethods=http-01"');
  assert.equal(renderCaa("letsencrypt.org"), '0 issue "letsencrypt.org"');
});
