import assert from "node:assert/strict";
import { test } from "node:test";
import { describeNext, findWarnings } from "./next.ts";
import { regionOf } from "./testing/region.ts";

const node = { name: "901a", certName: "" };
const record = { name: "901a.derp.example.com", type: "A", content: "203.0.113.7", ttl: 300 } as const;
const delivery = { url: "https://downloads.example.com" };
const byHand = { provider: "none", zone: undefined, ttl: 300 } as const;
const map = { omitDefaultRegions: false, dropTailscaleRegions: [1], drainBy: "score" } as const;
const madeByUs = { provider: "cloudflare", zone: "example.com", ttl: 300 } as const;

test("a local fleet is to be started", () => {
  const regions = [regionOf({ cloud: "local" })];
  assert.deepEqual(describeNext({ regions, dns: byHand, delivery: undefined }, [node], []), [
    "Run `npm start` to start the relays on this machine.",
  ]);
});

test("records that nobody makes come first, then the delivery, then the proof", () => {
  const regions = [regionOf()];
  assert.deepEqual(
    describeNext({ regions, dns: byHand, delivery }, [node], [record]).map((line) =>
      line.split(" ", 3).join(" "),
    ),
    ["Make the 1", "Put what `npm", "Run `npm run"],
  );
  assert.equal(describeNext({ regions, dns: madeByUs, delivery }, [node], [record]).length, 2);
});

test("a region that is not waited for is to be mended by its day", () => {
  const regions = [regionOf({ skipGate: { reason: "flooded", until: "2026-12-31" } })];
  assert.match(
    describeNext({ regions, dns: madeByUs, delivery }, [node], []).join("\n"),
    /^Mend alfa \(flooded\) and remove its skipGate by 2026-12-31;/m,
  );
});

test("pins that are not known, canaries and retired regions each have their sentence", () => {
  const regions = [regionOf({ state: "canary" }), regionOf({ id: 902, code: "bravo", state: "retired" })];
  const lines = describeNext({ regions, dns: madeByUs, delivery }, [{ ...node, certName: "pending" }], []);
  assert.match(
    lines.join("\n"),
    /certificates of 901a and write their pins[^]*Try alfa,[^]*without bravo has reached/,
  );
});

test("what is hardly meant is told: several nodes that do not mesh, and secrets that nobody can seal", () => {
  const several = regionOf({ nodes: [{}, {}] });
  const secret = regionOf({ statusToken: "reader" });
  assert.match(
    findWarnings({ regions: [several], gate: "verify", map }).join(),
    /^region 901 has 2 nodes and no mesh key/,
  );
  assert.match(
    findWarnings({ regions: [secret], gate: "skip", map }).join("\n"),
    /^the stack's gate is skipped[^]*^region 901 gets no new secrets while/m,
  );
  const quiet = [secret, regionOf({ cloud: "aws", location: "eu-central-1", nodes: [{}, {}], mesh: "keys" })];
  assert.deepEqual(findWarnings({ regions: quiet, gate: "verify", map }), []);
});

test("one of Tailscale's regions that this version does not know is told of", () => {
  const odd = { ...map, dropTailscaleRegions: [1, 77] };
  assert.match(
    findWarnings({ regions: [regionOf()], gate: "verify", map: odd }).join(),
    /^dropTailscaleRegions names 77, and/,
  );
});

test("a region that drains is to be published and waited for", () => {
  const regions = [regionOf({ state: "draining" })];
  assert.match(
    describeNext({ regions, dns: madeByUs, delivery }, [node], []).join("\n"),
    /`npm run retire` for alfa: it waits/,
  );
});
