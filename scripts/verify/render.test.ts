import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { NodeResult } from "./node.ts";
import { renderResults, renderSummary } from "./render.ts";

const results: NodeResult[] = [
  {
    name: "901a",
    region: "alfa",
    checks: [
      { name: "tls-ipv4", ok: true, status: "passed", detail: "TLS 1.3", ms: 12 },
      { name: "stun-ipv4", ok: false, status: "failed", detail: "no answer", ms: 3000 },
      { name: "healthz", ok: false, status: "untested", detail: "no page", ms: 4 },
    ],
  },
];

test("the table has a line for each check of each node", () => {
  assert.deepEqual(stripVTControlCharacters(renderResults(results)).split("\n"), [
    "REGION  NODE  CHECK      RESULT    MS    DETAIL",
    "alfa    901a  tls-ipv4   passed    12    TLS 1.3",
    "alfa    901a  stun-ipv4  FAILED    3000  no answer",
    "alfa    901a  healthz    untested  4     no page",
  ]);
});

test("the summary counts nodes, checks and outcomes", () => {
  assert.equal(renderSummary(results), "1 node, 3 checks: 1 passed, 1 failed, 1 untested");
  assert.equal(renderSummary([]), "0 nodes, 0 checks: 0 passed");
});
