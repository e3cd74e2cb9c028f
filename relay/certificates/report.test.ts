import assert from "node:assert/strict";
import { test } from "node:test";
import { type CertificateStatus, countCertificates, findWarnings, renderCertificates } from "./report.ts";

const now = Date.parse("2026-06-01T00:00:00Z");
const hour = 3_600_000;
const renewal = {
  overdueAt: now + hour,
  next: { at: now + 2 * hour, why: "a third of the certificate's lifetime is left" },
  failures: 0,
  lastFailure: undefined,
  issued: 1,
  failed: 0,
};
const fresh: CertificateStatus = { name: "a.example", notAfter: now + 24 * hour, renewal };
const lastFailure = { kind: "dns", message: "the resolver said no", at: now };

test("a certificate that is renewed in time gives no warning, nor does one of files that is valid", () => {
  assert.deepEqual(findWarnings([fresh, { ...fresh, renewal: undefined }], now), []);
  assert.deepEqual(findWarnings([fresh], now + hour), []);
});

test("a renewal that is overdue, an end that has come and a certificate that is not there are warned of", () => {
  assert.deepEqual(findWarnings([fresh], now + hour + 1), [
    "the renewal of the certificate of a.example is overdue; it ends at 2026-06-02T00:00:00.000Z",
  ]);
  assert.match(
    findWarnings([fresh], now + 24 * hour).join(),
    /^the certificate of a.example ended at 2026-06-02/,
  );
  assert.match(findWarnings([{ ...fresh, renewal: undefined }], now + 25 * hour).join(), /ended/);
  const none = { ...fresh, notAfter: undefined, renewal: { ...renewal, overdueAt: undefined, lastFailure } };
  assert.deepEqual(findWarnings([none], now), ["there is no certificate for a.example yet"]);
});

test("a warning says nothing that the authority said", () => {
  const failing = { ...fresh, renewal: { ...renewal, failures: 3, lastFailure } };
  assert.ok(
    !findWarnings([failing], now + 2 * hour)
      .join()
      .includes("resolver"),
  );
});

test("metrics count from now", () => {
  const failing = { ...fresh, renewal: { ...renewal, failures: 3, failed: 4, lastFailure } };
  const byFiles = { ...fresh, name: "b.example", renewal: undefined };
  const none = { ...fresh, name: "c.example", notAfter: undefined, renewal: { ...renewal, next: undefined } };
  assert.deepEqual(countCertificates([failing, byFiles, none], now + hour + 1_000), [
    {
      name: "a.example",
      secondsLeft: 23 * 3_600 - 1,
      renewal: {
        failures: 3,
        issued: 1,
        failed: 4,
        nextAttemptSeconds: (now + 2 * hour) / 1_000,
        overdue: true,
        lastFailure: "dns",
      },
    },
    { name: "b.example", secondsLeft: 23 * 3_600 - 1, renewal: undefined },
    {
      name: "c.example",
      secondsLeft: undefined,
      renewal: {
        failures: 0,
        issued: 1,
        failed: 0,
        nextAttemptSeconds: undefined,
        overdue: true,
        lastFailure: undefined,
      },
    },
  ]);
});

test("all that is known is told to who may see it", () => {
  const failing = { ...fresh, renewal: { ...renewal, failures: 1, lastFailure } };
  assert.deepEqual(JSON.parse(renderCertificates([failing, { ...fresh, renewal: undefined }])), [
    {
      name: "a.example",
      notAfter: "2026-06-02T00:00:00.000Z",
      renewal: {
        overdueAt: "2026-06-01T01:00:00.000Z",
        next: { at: "2026-06-01T02:00:00.000Z", why: "a third of the certificate's lifetime is left" },
        failures: 1,
        lastFailure: { kind: "dns", message: "the resolver said no", at: "2026-06-01T00:00:00.000Z" },
      },
    },
    { name: "a.example", notAfter: "2026-06-02T00:00:00.000Z" },
  ]);
});
