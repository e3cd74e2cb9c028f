import assert from "node:assert/strict";
import { test } from "node:test";
import { findSizeFault, type SizeOffer } from "./hetzner-sizes.ts";

const sold = { available: true, isDeprecated: false, unavailableAfter: "" };
const offers: readonly SizeOffer[] = [
  { name: "cax11", locations: [{ name: "fsn1", ...sold }] },
  {
    name: "cx22",
    locations: [{ name: "fsn1", ...sold, isDeprecated: true, unavailableAfter: "2025-12-31T23:59:59Z" }],
  },
  {
    name: "cx23",
    locations: [
      { name: "fsn1", ...sold },
      { name: "hel1", ...sold, available: false },
    ],
  },
];
const before = new Date("2025-12-01T00:00:00Z");
const after = new Date("2026-11-30T00:00:00Z");

test("a size can be ordered where it is sold, and until its last day", () => {
  assert.equal(findSizeFault("cax11", "fsn1", offers, after), undefined);
  assert.equal(findSizeFault("cx22", "fsn1", offers, before), undefined);
});

const faults: Readonly<Record<string, readonly [size: string, location: string, says: string]>> = {
  "does not exist": ["cx99", "fsn1", "Hetzner has no size cx99; size can be cax11, cx23"],
  "is sold elsewhere": ["cax11", "hel1", "cax11 is not sold in hel1; size can be nothing there today"],
  "is gone": ["cx22", "fsn1", "cx22 cannot be ordered in fsn1 since 2025-12-31; size can be cax11, cx23"],
  "is out of stock": ["cx23", "hel1", "cx23 is out of stock in hel1; size can be nothing there today"],
};

for (const [what, [size, location, says]] of Object.entries(faults)) {
  test(`a size that ${what} is refused with what there is`, () => {
    assert.equal(findSizeFault(size, location, offers, after), says);
  });
}
