/** Statements 110 to 112: names for clients whose DNS is broken. */
import assert from "node:assert/strict";
import { ask, get, headerOf } from "./http.ts";
import { metricsBecome, readMetrics } from "./metrics.ts";
import type { RelayUnderTest } from "./relay-under-test.ts";
import { statement } from "./suite.ts";

/** The one name that every machine resolves. */
const published = "localhost";

async function lookUp(relay: RelayUnderTest, query = ""): Promise<Record<string, string[]>> {
  const { body } = await ask(relay, get(`/bootstrap-dns${query}`));
  const names: Record<string, string[]> = JSON.parse(body === "" ? "{}" : body);
  return names;
}

/** The first refresh runs beside the listener's start. */
async function refreshed(relay: RelayUnderTest): Promise<number> {
  const giveUp = performance.now() + 5_000;
  let requests = 0;
  do {
    assert.ok(performance.now() < giveUp, "the names were not resolved");
    requests++;
  } while (!Object.hasOwn(await lookUp(relay), published));
  return requests;
}

const todo = "there are no names to publish yet";

statement(
  "110. Given published names, then `q`=published and `q`=other return all published, as JSON indented by tabs.",
  async ({ relay }) => {
    await refreshed(relay);
    for (const query of ["", `?q=${published}`, "?q=other.example"]) {
      assert.deepEqual(Object.keys(await lookUp(relay, query)), [published]);
    }
    const answer = await ask(relay, get("/bootstrap-dns"));
    assert.match(answer.body, /^\{\n\t"localhost": \[\n\t\t"/);
    assert.equal(headerOf(answer, "Connection"), "close");
  },
  { relay: { flags: { "bootstrap-dns-names": published } }, todo },
);

statement(
  "110. Given unpublished names, then `q`=unpublished returns only it; unpublished names never appear otherwise.",
  async ({ relay }) => {
    const giveUp = performance.now() + 5_000;
    while (!Object.hasOwn(await lookUp(relay, `?q=${published}`), published))
      assert.ok(performance.now() < giveUp);
    for (const query of ["", "?q=other.example", `?q=${published}.`])
      assert.deepEqual(await lookUp(relay, query), {});
  },
  { relay: { flags: { "unpublished-bootstrap-dns-names": published } }, todo },
);

statement(
  "112. Given queries a,b,c,d,e,e,e,a, then `queried_domains` = 5.",
  async ({ relay }) => {
    const before = (await readMetrics(relay)).get("bootstrap_dns_requests") ?? 0;
    for (const name of ["a", "b", "c", "d", "e", "e", "e", "a"]) await lookUp(relay, `?q=${name}.example`);
    await metricsBecome(relay, { bootstrap_dns_queried_domains: 5, bootstrap_dns_requests: before + 8 });
  },
  { relay: { flags: { "bootstrap-dns-names": published } }, todo },
);
