import assert from "node:assert/strict";
import { test } from "node:test";
import { KitError, renderError } from "../../relay/errors.ts";
import { planStep } from "./step.ts";

const region = (id: number, code: string, rest = ""): string =>
  `    - { id: ${id}, code: ${code}, name: Region ${id}, cloud: hetzner, location: ${id === 901 ? "fsn1" : "hel1"}, ` +
  `admission: { anyone: true }${rest} }\n`;

const stackOf = (regions: string, more = ""): string => `config:
  derpkit:domain: derp.example.com
  derpkit:delivery: { s3: { bucket: example-releases, location: eu-central-1 } }
  derpkit:trustedKeys: [MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=]
  derpkit:regions:
${regions}${more}`;

function refusal(text: string, wanted: string): string {
  try {
    planStep(text, wanted, "Pulumi.eu.yaml");
  } catch (error) {
    assert.ok(error instanceof KitError, String(error));
    return renderError(error);
  }
  return assert.fail("it was not refused");
}

test("a region goes from serving to draining, retired and deleted, by its code or its id", () => {
  let text = stackOf(region(901, "alfa") + region(902, "bravo"));
  const seen: string[] = [];
  for (const wanted of ["alfa", "901", "alfa"]) {
    const step = planStep(text, wanted, "");
    seen.push(`${step.region.state} ${step.outcome}`);
    text = step.text;
  }
  assert.deepEqual(seen, ["serving draining", "draining retired", "retired deleted"]);
  assert.equal(text, stackOf(region(902, "bravo")));
  assert.match(refusal(text, "alfa"), /There is no region "alfa" in the stack; it has bravo\./);
});

test("a canary drains, too", () => {
  assert.equal(planStep(stackOf(region(901, "alfa", ", state: canary")), "alfa", "").outcome, "draining");
});

test("secrets that only the region named go with it, and those that others name stay", () => {
  const names = (state: string, mesh: string): string =>
    `, state: ${state}, statusToken: reader, mesh: ${mesh}, nodes: [{}, {}]`;
  const secrets = ["reader", "meshOne", "meshTwo"]
    .map((name) => `  derpkit:${name}: { secure: v1:x }\n`)
    .join("");
  const regions =
    region(901, "alfa", names("retired", "meshOne")) + region(902, "bravo", names("serving", "meshTwo"));
  const text = stackOf(regions, secrets);
  const { orphans, text: after } = planStep(text, "alfa", "");
  assert.deepEqual(orphans, ["meshOne"]);
  assert.doesNotMatch(after, /meshOne/);
  assert.match(after, /derpkit:reader: \{ secure/);
});

test("the last region is not deleted, and the way out is told", () => {
  assert.match(
    refusal(stackOf(region(901, "alfa", ", state: retired")), "alfa"),
    /last region[^]*pulumi -- destroy/,
  );
});

test("a fleet that cannot do without the region keeps it", () => {
  const more = "  derpkit:omitDefaultRegions: true\n  derpkit:iUnderstandTheseAreMyOnlyRelays: true\n";
  assert.match(
    refusal(stackOf(region(901, "alfa") + region(902, "bravo"), more), "alfa"),
    /derpkit:regions: is too little for omitDefaultRegions/,
  );
});

test("a change that an anchor would carry to another region is refused", () => {
  const shared = `    - &one { id: 901, code: alfa, name: Alfa, cloud: hetzner, location: fsn1, admission: { anyone: true }, state: canary }
    - { <<: *one, id: 902, code: bravo }
`;
  assert.match(refusal(stackOf(shared), "alfa"), /shares a part with another, by an anchor/);
});
