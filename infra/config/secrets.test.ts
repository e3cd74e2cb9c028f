import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError, renderError } from "../../relay/errors.ts";
import { parseFleetConfig } from "./parse.ts";

const region = {
  id: 901,
  code: "frk",
  name: "Frankfurt",
  cloud: "aws",
  location: "eu-central-1",
  admission: { tailnetApi: { clientId: "kReader", secret: "reader" } },
};
const fleet = {
  "derpkit:domain": "derp.example.com",
  "derpkit:delivery": JSON.stringify({ url: "https://downloads.example.com" }),
  "derpkit:trustedKeys": JSON.stringify([`MCowBQYDK2VwAyEA${"A".repeat(43)}=`]),
};
const canary = "hunter2-4d1f";

/** What is said of a configuration. @param secretKeys without namespace */
function problemsOf(values: Readonly<Record<string, unknown>>, secretKeys: readonly string[] = []): string {
  const texts = Object.entries(values).map(([key, value]): [string, string] => [
    `derpkit:${key}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  try {
    parseFleetConfig({
      where: "test",
      values: { ...fleet, ...Object.fromEntries(texts) },
      secretKeys: new Set(secretKeys.map((key) => `derpkit:${key}`)),
    });
    return "";
  } catch (error) {
    assert.ok(error instanceof KitError);
    return renderError(error);
  }
}

test("a secret is a key of its own, which a region names", () => {
  assert.equal(problemsOf({ regions: [region], reader: canary }, ["reader"]), "");
});

test("regions may share a secret", () => {
  const other = { ...region, id: 902, code: "dbl", location: "eu-west-1" };
  assert.equal(problemsOf({ regions: [region, other], reader: canary }, ["reader"]), "");
});

test("the stack's own secrets need nobody who names them", () => {
  const keys = { signingKey: canary, nextSigningKey: canary };
  assert.equal(
    problemsOf({ regions: [region], reader: canary, ...keys }, ["reader", "signingKey", "nextSigningKey"]),
    "",
  );
});

test("a mesh key belongs to one region", () => {
  const nodes = [{}, {}];
  const one = { ...region, nodes, mesh: "keys" };
  const other = { ...one, id: 902, code: "dbl", location: "eu-west-1" };
  const secrets = { reader: canary, keys: canary, others: canary };
  const said = problemsOf({ regions: [one, other], ...secrets }, Object.keys(secrets));
  assert.match(
    said,
    /regions\[1\]\.mesh: is "keys", and so is derpkit:regions\[0\]\.mesh; a mesh key belongs to one region/,
  );
  assert.equal(
    problemsOf({ regions: [one, { ...other, mesh: "others" }], ...secrets }, Object.keys(secrets)),
    "",
  );
});

test("every place that names a secret is known: one of them in clear is refused, wherever it is named", () => {
  for (const names of [{ nodes: [{}, {}], mesh: "named" }, { statusToken: "named" }]) {
    const said = problemsOf({ regions: [{ ...region, ...names }], reader: canary, named: canary }, [
      "reader",
    ]);
    assert.match(said, /derpkit:named: is in clear, and a region names it as a secret/);
    assert.doesNotMatch(said, new RegExp(canary));
  }
});

const wrong: Readonly<Record<string, readonly [said: string, says: RegExp]>> = {
  "is missing": [
    problemsOf({ regions: [region] }),
    /regions\[0\]\.admission\.tailnetApi\.secret: names derpkit:reader, which is missing; run `pulumi config set --secret derpkit:reader`/,
  ],
  "is in clear": [
    problemsOf({ regions: [region], reader: canary }),
    /derpkit:reader: is in clear, and a region names it as a secret; have a new one made/,
  ],
  "nobody names": [
    problemsOf({ regions: [region], reader: canary, raeder: canary }, ["reader", "raeder"]),
    /derpkit:raeder: is a secret that nothing here names/,
  ],
  "is the stack's own and in clear": [
    problemsOf({ regions: [region], reader: canary, nextSigningKey: canary }, ["reader"]),
    /derpkit:nextSigningKey: is in clear, and whoever has read the file can sign; remove it/,
  ],
  "is the stack's own and in clear, and within a mapping": [
    problemsOf({ regions: [region], reader: canary, signingKey: { key: canary } }, ["reader"]),
    /derpkit:signingKey: is in clear/,
  ],
  "is the stack's own, and a region names it": [
    problemsOf(
      {
        regions: [{ ...region, admission: { tailnetApi: { clientId: "k", secret: "signingKey" } } }],
        signingKey: canary,
      },
      ["signingKey"],
    ),
    /tailnetApi\.secret: is signingKey, a key of its own; choose another name/,
  ],
  "has the name of another key": [
    problemsOf({
      regions: [{ ...region, admission: { tailnetApi: { clientId: "k", secret: "domain" } } }],
    }),
    /tailnetApi\.secret: is domain, a key of its own; choose another name/,
  ],
  "stands in the place of its name": [
    problemsOf({
      regions: [{ ...region, admission: { tailnetApi: { clientId: "k", secret: { secure: canary } } } }],
    }),
    /tailnetApi\.secret: is or holds a secret/,
  ],
  "stands beside its name": [
    problemsOf({ regions: [region], reader: canary, domain: canary }, ["reader", "domain"]),
    /derpkit:domain: is or holds a secret/,
  ],
};

for (const [what, [said, says]] of Object.entries(wrong)) {
  test(`a secret that ${what} is refused with its path, and is not shown`, () => {
    assert.match(said, says);
    assert.doesNotMatch(said, new RegExp(canary));
  });
}

test("names that JavaScript's objects have of their own are no secrets that are there", () => {
  const admission = { tailnetApi: { clientId: "k", secret: "constructor" } };
  assert.match(
    problemsOf({ regions: [{ ...region, admission }] }),
    /names derpkit:constructor, which is missing/,
  );
});
