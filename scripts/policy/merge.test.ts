import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { KitError, renderError } from "../../relay/errors.ts";
import type { DerpPart } from "./derp-part.ts";
import { isSame, type Json } from "./jwcc/tree.ts";
import { parsePart } from "./map-file.ts";
import { mergePolicy, type Ours, parsePolicy } from "./merge.ts";
import { listComments, parseByOracle } from "./testing/oracle.ts";
import { anyValue, document, member, objectOf } from "./testing/texts.ts";

type Members = { readonly [name: string]: Json };

function region(id: number, code: string, more: Members = {}): Members {
  const node = { Name: `${id}a`, RegionID: id, HostName: `${id}a.derp.example.com` };
  return { Nodes: [node], RegionCode: code, RegionID: id, RegionName: code, ...more };
}

const [alfa, bravo, theirs] = [region(901, "alfa"), region(902, "bravo"), region(950, "theirs")];
const moved = region(901, "alfa", { RegionName: "moved" });

function part(regions: Record<string, Json>, more: Members = {}): DerpPart {
  return parsePart(JSON.stringify({ Regions: regions, ...more }), "map.json");
}

function ours(wanted: DerpPart, more: Partial<Ours> = {}): Ours {
  return { wanted, owned: new Set(wanted.regions.keys()), bases: [], adopt: false, ...more };
}

function merge(text: string, what: Ours): string {
  return mergePolicy(parsePolicy(text, "policy.hujson"), what, "policy.hujson").text;
}

/** What a person is shown of a refusal. */
function refusal(text: string, what: Ours): string {
  try {
    merge(text, what);
  } catch (error) {
    assert.ok(error instanceof KitError && error.exit === 1, String(error));
    return renderError(error);
  }
  return assert.fail("it was merged");
}

const policy = `// The policy of example.com.
{
\t"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}], // all of us
\t"nodeAttrs": [
\t\t// not ours: "derpMap": {"Regions": {"901": null}}
\t\t{"target": ["*"], "app": {"derpMap": {"Regions": {"901": {"RegionCode": "decoy"}}}}},
\t],
\t"note": "\\"derpMap\\": {",
}
`;

test("a policy without a derpMap gets one at its end, in its own layout", () => {
  const text = merge(policy, ours(part({ "901": { RegionCode: "alfa" } })));
  const added =
    '\t"derpMap": {\n\t\t"Regions": {\n\t\t\t"901": {\n\t\t\t\t"RegionCode": "alfa"\n\t\t\t}\n\t\t}\n\t},\n';
  assert.equal(text, `${policy.slice(0, -2)}${added}}\n`);
});

test("lines that end in CRLF get such lines, and no others", () => {
  const text = merge(policy.replaceAll("\n", "\r\n"), ours(part({ "901": alfa })));
  assert.equal(text.replaceAll("\r\n", "").includes("\n"), false);
  assert.deepEqual(parseByOracle(text), parseByOracle(merge(policy, ours(part({ "901": alfa })))));
});

test("a region is inserted by its id, changed, and removed; what others have stays, comments included", () => {
  const before =
    '{\n  "derpMap": {\n    "Regions": {\n      // theirs\n      "950": null, // really\n    },\n  },\n}\n';
  const [first, second] = [part({ "901": alfa }), part({ "901": moved, "902": bravo })];
  const inserted = merge(before, ours(first));
  assert.ok(inserted.indexOf('"901"') < inserted.indexOf("// theirs"));
  const changed = merge(inserted, ours(second, { bases: [first] }));
  assert.deepEqual(parseByOracle(changed), {
    derpMap: { Regions: { "901": moved, "902": bravo, "950": null } },
  });
  const gone = ours(part({}), { owned: new Set(["901", "902"]), bases: [second] });
  assert.equal(merge(changed, gone), before);
});

test("names are found in any case, as Go finds them, and ids in any spelling", () => {
  for (const [map, regions, id] of [
    ["DERPMap", "regions", "901"],
    ["derpmap", "REGIONS", "0901"],
    ["\\u0064erpMap", "Region\u017F", "+901"],
  ] as const) {
    const before = `{"${map}": {"${regions}": {"${id}": ${JSON.stringify(alfa)}}}}`;
    assert.equal(merge(before, ours(part({ "901": alfa }))), before);
    const after = merge(before, ours(part({ "901": moved }), { bases: [part({ "901": alfa })] }));
    assert.equal(after, before.replace('"RegionName":"alfa"', '"RegionName":"moved"'));
  }
});

test("null in the place of the map or of its regions is room for them", () => {
  for (const before of ['{"derpMap": null}', '{"derpMap": {"Regions": null}}', '{"derpMap": {}}', "{}"]) {
    const after = parseByOracle(merge(before, ours(part({ "901": alfa }))));
    assert.deepEqual(after, { derpMap: { Regions: { "901": alfa } } });
  }
});

test("default regions are left out as the map says, and as they were if it does not", () => {
  const before = '{"derpMap": {"OmitDefaultRegions": true, "Regions": {}}}';
  assert.equal(merge(before, ours(part({}))), before);
  const said = part({}, { omitDefaultRegions: false });
  assert.equal(merge(before, ours(said)), before.replace("true", "false"));
  const base = part({}, { OmitDefaultRegions: false });
  assert.match(
    refusal(before, ours(said, { bases: [base] })),
    /:1:14: OmitDefaultRegions was edited by hand/,
  );
  assert.deepEqual(parseByOracle(merge("{}", ours(said))), { derpMap: { OmitDefaultRegions: false } });
});

test("a score of ours comes and goes with the map; others' scores, and what we never set, stay", () => {
  const before = '{"derpMap": {"HomeParams": {"RegionScore": {"902": 5, "950": 2}}, "Regions": {}}}';
  const draining = part({ "901": alfa, "902": bravo }, { HomeParams: { RegionScore: { "901": 100 } } });
  const during = merge(before, ours(draining));
  assert.match(during, /"RegionScore": \{"901": 100, "902": 5, "950": 2\}/);
  const after = merge(during, ours(part({ "901": alfa, "902": bravo }), { bases: [draining] }));
  assert.match(after, /"RegionScore": \{"902": 5, "950": 2\}/);
  const edited = during.replace("100", "50");
  assert.match(
    refusal(edited, ours(draining, { bases: [draining] })),
    /score of region 901 was edited by hand/,
  );
});

test("what was edited by hand since the base is refused with its place, and says what", () => {
  const base = part({ "901": alfa });
  const what = ours(part({ "901": moved }), { bases: [base] });
  const live = `{\n  "derpMap": {"Regions": {\n    "901": ${JSON.stringify(alfa).replace("901a.derp", "evil")}\n  }}\n}`;
  assert.match(
    refusal(live, what),
    /policy\.hujson:3:5: region 901 alfa was edited by hand since it was pushed: node 901a HostName "901a\.derp\.example\.com" -> "evil\.example\.com"\n/,
  );
  assert.match(
    refusal('{"x": 1,\n "derpMap": {}}', what),
    /policy\.hujson:2:2: region 901 alfa was edited .*: removed\n/,
  );
  const removal = ours(part({}), { owned: new Set(["901"]), bases: [base] });
  assert.match(refusal(live, removal), /edited by hand/);
});

test("an edit by hand that is what we want, or that says the same, is none", () => {
  const bases = [part({ "901": alfa })];
  const live = `{"derpMap": {"Regions": {"901": ${JSON.stringify(moved)}}}}`;
  assert.equal(merge(live, ours(part({ "901": moved }), { bases })), live);
  const commented = `{"derpMap": {"Regions": {"901": ${JSON.stringify(alfa).replace("{", "{ /* why */ ")}}}}`;
  assert.deepEqual(listComments(merge(commented, ours(part({ "901": moved }), { bases }))), ["/* why */"]);
});

test("what a push whose answer was lost may have left is no edit by hand", () => {
  const bases = [part({ "901": alfa }), part({ "901": moved })];
  for (const live of [alfa, moved]) {
    const text = `{"derpMap": {"Regions": {"901": ${JSON.stringify(live)}}}}`;
    const next = merge(text, ours(part({ "901": alfa, "902": bravo }), { bases }));
    assert.deepEqual(parseByOracle(next), { derpMap: { Regions: { "901": alfa, "902": bravo } } });
  }
});

test("an id of ours that is somebody else's is refused", () => {
  const live = '{"derpMap": {"Regions": {"901": {"RegionID": 901, "RegionCode": "theirs"}}}}';
  for (const more of [{}, { adopt: true }, { bases: [part({})] }, { adopt: true, bases: [part({})] }]) {
    assert.match(
      refusal(live, ours(part({ "901": alfa }), more)),
      /:1:26: region 901 theirs is somebody else's/,
    );
  }
  assert.match(
    refusal(live.replace(/\{"RegionID.*?\}/, "null"), ours(part({ "901": alfa }))),
    /region 901 is somebody/,
  );
});

test("without a base a region with our code is taken as ours only if one says so, and is never removed", () => {
  const live = `{"derpMap": {"Regions": {"901": ${JSON.stringify(alfa)}}}}`;
  const wanted = part({ "901": moved });
  assert.match(refusal(live, ours(wanted)), /nothing shows that we pushed it/);
  const { text, adopted } = mergePolicy(parsePolicy(live, "p"), ours(wanted, { adopt: true }), "p");
  assert.deepEqual([parseByOracle(text), adopted], [{ derpMap: { Regions: { "901": moved } } }, ["901"]]);
  const removal = ours(part({}), { owned: new Set(["901"]), adopt: true });
  assert.match(refusal(live, removal), /is to be removed, and nothing shows/);
});

test("what is there twice is refused where it matters", () => {
  const what = ours(part({ "901": alfa }));
  assert.match(
    refusal('{"derpMap": {},\n"DERPMAP": {}}', what),
    /policy\.hujson:2:1: DerpMap is there twice/,
  );
  assert.match(refusal('{"derpMap": {"Regions": {}, "regions": {}}}', what), /:1:29: Regions is there twice/);
  assert.match(
    refusal('{"derpMap": {"Regions": {"901": 1, "0901": 2}}}', what),
    /:1:36: region 901 is there twice/,
  );
  const others = '{"derpMap": {"Regions": {"950": 1, "0950": 2}}}';
  assert.ok(merge(others, what).includes('"950": 1, "0950": 2'));
});

test("what cannot be read has line and column", () => {
  const what = ours(part({}));
  assert.match(refusal('{\n  "acls": [],\n  oops\n}', what), /^policy\.hujson:3:3: .*\[policy-invalid\]/);
  assert.match(refusal("[]", what), /^policy\.hujson:1:1: A policy has to be an object/);
  assert.match(refusal('{"derpMap": []}', what), /^policy\.hujson:1:13: This has to be an object/);
});

const spelled = (name: string) => fc.constantFrom(name, name.toLowerCase(), name.toUpperCase());

/** A policy with decoys, that may have a derpMap, and that may have regions of ours as they were pushed. */
const anyPolicy = fc
  .record({
    ours: fc.subarray(["901", "902"]),
    map: fc.option(spelled("derpMap")),
    regions: fc.option(spelled("Regions")),
    others: fc.uniqueArray(fc.constantFrom("acls", "tests", "maps"), { maxLength: 3 }),
    isFirst: fc.boolean(),
  })
  .chain(({ ours: there, map, regions, others, isFirst }) => {
    const known: Record<string, Json> = { "901": alfa, "902": bravo };
    const texts = there.map((id) => fc.constant(`"${id}":${JSON.stringify(known[id])}`));
    const list = objectOf([member("950", fc.constant(JSON.stringify(theirs))), ...texts]);
    const derp = objectOf([member("x", anyValue), ...(regions === null ? [] : [member(regions, list)])]);
    const rest = others.map((name) => member(name, anyValue));
    const ownMember = map === null ? [] : [member(map, derp)];
    const members = isFirst ? [...ownMember, ...rest] : [...rest, ...ownMember];
    return document(objectOf(members)).map((text) => ({
      text,
      there: map === null || regions === null ? [] : there,
      map: map ?? "derpMap",
      regions: (map === null ? null : regions) ?? "Regions",
    }));
  });

test("any policy says afterwards what it said, with our regions as wanted, and has all its comments", () => {
  fc.assert(
    fc.property(anyPolicy, fc.subarray(["901", "902"]), ({ text, there, map, regions }, wanted) => {
      const next: Record<string, Json> = Object.fromEntries(
        wanted.map((id) => [id, id === "901" ? moved : bravo]),
      );
      const base = part(Object.fromEntries(there.map((id) => [id, id === "901" ? alfa : bravo])));
      const what = ours(part(next), { owned: new Set(["901", "902"]), bases: [base] });
      const written = merge(text, what);
      const before = parseByOracle(text) as Record<string, Record<string, Record<string, Json>>>;
      const kept = { ...before[map]?.[regions] };
      for (const id of there) delete kept[id];
      const list = { ...kept, ...next };
      const isUntouched = there.length === 0 && wanted.length === 0;
      const expected = isUntouched ? before : { ...before, [map]: { ...before[map], [regions]: list } };
      assert.ok(isSame(parseByOracle(written), expected), written);
      assert.deepEqual(listComments(written), listComments(text));
      const again = ours(part(next), { owned: new Set(["901", "902"]), bases: [part(next)] });
      assert.equal(merge(written, again), written);
    }),
    { numRuns: 500 },
  );
});

test("a policy of 2 MB on one line is merged, whatever it is made of", () => {
  const rule = '{"action":"accept","src":["group:a"],"dst":["tag:b:443"]}';
  const members = Array.from({ length: 100_000 }, (_, index) => `"member-${index}":1`);
  for (const text of [
    `{"acls":[${Array.from({ length: 35_000 }, () => rule).join()}]}`,
    `{${members.join()}}`,
    `{"derpMap":{"Regions":{${members.join()}}}}`,
  ]) {
    const written = merge(text, ours(part({ "901": alfa })));
    assert.deepEqual(Object(parseByOracle(written)).derpMap.Regions["901"], alfa);
  }
});

test("ten times the policy takes about ten times as long", () => {
  const build = (rules: number): string => {
    const rule =
      '    // A rule.\n    {"action": "accept", "src": ["group:a"], "dst": ["tag:b:443", "tag:c:*"]},\n';
    return `{\n  "acls": [\n${rule.repeat(rules)}  ],\n  "derpMap": {"Regions": {}},\n}\n`;
  };
  const spend = (text: string): number => {
    const begun = process.cpuUsage();
    merge(text, ours(part({ "901": alfa })));
    return process.cpuUsage(begun).user;
  };
  const [small, large] = [build(2_300), build(23_000)];
  assert.ok(small.length > 200_000 && large.length > 2_000_000);
  // The best of some: whatever else runs here takes its share of single ones. Squared, it would be a hundred times.
  const ratios = [1, 2, 3, 4, 5, 6].map(() => spend(large) / Math.max(...[1, 2, 3].map(() => spend(small))));
  const ratio = Math.min(...ratios);
  assert.ok(ratio < 40, `it takes ${ratio.toFixed(1)} times as long`);
});
