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
  { relay: { flags: { "bootstrap-dns-names": published } } },
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
  { relay: { flags: { "unpublished-bootstrap-dns-names": published } } },
);

statement(
  "112. Given queries a,b,c,d,e,e,e,a, then `queried_domains` = 5.",
  async ({ relay }) => {
    const before = (await readMetrics(relay)).get("bootstrap_dns_requests") ?? 0;
    for (const name of ["a", "b", "c", "d", "e", "e", "e", "a"]) await lookUp(relay, `?q=${name}.example`);
    await metricsBecome(relay, { bootstrap_dns_queried_domains: 5, bootstrap_dns_requests: before + 8 });
  },
  { relay: { flags: { "bootstrap-dns-names": published } } },
);

/** Addresses are names as well, which nobody has to be asked about. */
const [hidden, heldBack] = ["192.0.2.7", "192.0.2.8"];
const names = {
  // Empty, with a blank, not ended, with what is no percentage of a published name.
  "bootstrap-dns-names": `,${published}, 192.0.2.5,192.0.2.10,192.0.2.6/no name/x,192.0.2.9,no name`,
  "unpublished-bootstrap-dns-names": `${hidden}/,,${heldBack}/no name/x`,
};
const resolved = ["192.0.2.10", "192.0.2.6", "192.0.2.9", published];

statement(
  "110. Given entries that name nothing, then the relay serves, and the others are published in order.",
  async ({ relay }) => {
    await refreshed(relay);
    const { body } = await ask(relay, get("/bootstrap-dns"));
    assert.deepEqual(
      [...body.matchAll(/^\t"([^"]*)": \[$/gm)].map(([, name]) => name),
      resolved,
    );
  },
  { relay: { flags: names } },
);

statement(
  "110. Given `q` as a URL may write it, then it is the first one that is well-formed.",
  async ({ relay }) => {
    const exactly = [
      `?q=${hidden}`,
      "?q=192%2e0.2.7",
      `?%71=${hidden}`,
      `?&&q=${hidden}`,
      `?q=%zz&q=${hidden}`,
    ];
    const beside = [`?x;y&q=${hidden}`, `?q=${hidden}&x=%zz`, `?q=${hidden}&q=other`];
    const not = [`?q=&q=${hidden}`, `?q=a&q=${hidden}`, `?Q=${hidden}`, `?q=${hidden};`, `?q=${hidden}%zz`];
    const other = [
      `??q=${hidden}`,
      `?q=+${hidden}`,
      `?q=${hidden}?`,
      `?q=${hidden}%00`,
      `?q=${hidden}.`,
      "?q",
    ];
    await refreshed(relay);
    while (!Object.hasOwn(await lookUp(relay, `?q=${hidden}`), hidden));
    for (const query of [...exactly, ...beside])
      assert.deepEqual(await lookUp(relay, query), { [hidden]: [hidden] }, query);
    for (const query of [...not, ...other])
      assert.deepEqual(Object.keys(await lookUp(relay, query)).sort(), resolved, query);
    const posted = await ask(relay, get(`/bootstrap-dns?q=${hidden}`, ["Content-Length: 0"], "POST"));
    assert.equal(posted.body, `{\n\t"${hidden}": [\n\t\t"${hidden}"\n\t]\n}`);
  },
  { relay: { flags: names } },
);

statement(
  "110. Given an unpublished name whose percentage cannot be read, then nobody gets it; each question is counted.",
  async ({ relay }) => {
    const empty = await refreshed(relay);
    const read = async (name: string): Promise<number> =>
      (await readMetrics(relay)).get(`bootstrap_dns_${name}`) ?? NaN;
    let waited = 0;
    for (; (await read("unpublished_hits")) === 0; waited++) await lookUp(relay, `?q=${heldBack}`);
    const misses = await read("unpublished_misses");
    for (const name of [heldBack, published, "192.0.2.9", hidden, "", "other.example"])
      await lookUp(relay, `?q=${name}`);
    assert.deepEqual(Object.keys(await lookUp(relay, `?q=${heldBack}`)).sort(), resolved);
    await metricsBecome(relay, {
      bootstrap_dns_requests: empty + waited + 7,
      bootstrap_dns_published_hits: 2,
      bootstrap_dns_published_misses: 0,
      bootstrap_dns_unpublished_hits: 4,
      bootstrap_dns_unpublished_percent_misses: 3,
      bootstrap_dns_unpublished_misses: misses + 3,
      bootstrap_dns_queried_domains: 5,
    });
  },
  { relay: { flags: names } },
);

statement(
  "110. Given names of which none can be looked up, then the answer becomes `null`.",
  async ({ relay }) => {
    const giveUp = performance.now() + 5_000;
    let body = "";
    while (body === "" && performance.now() < giveUp) ({ body } = await ask(relay, get("/bootstrap-dns")));
    assert.equal(body, "null");
  },
  { relay: { flags: { "bootstrap-dns-names": "no name," } } },
);
