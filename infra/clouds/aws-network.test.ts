import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseZones, subnetRange, subnetRange6, volumeDevice, zoneNumber } from "./aws-network.ts";

test("a zone's subnet is numbered by the zone's letter, in both families", () => {
  assert.equal(zoneNumber("eu-central-1c"), 2);
  assert.equal(subnetRange("eu-central-1c"), "10.78.2.0/24");
  assert.equal(subnetRange6("2a05:d014:1000:4200::/56", "eu-central-1c"), "2a05:d014:1000:4202::/64");
  assert.equal(subnetRange6("2a05:d014:1000::/56", "eu-central-1a"), "2a05:d014:1000:0::/64");
});

test("what is no zone of a region, or no /56, is refused", () => {
  assert.throws(() => zoneNumber("eu-central-1"), RangeError);
  for (const network of ["2a05:d014:1000:4200::/64", "2a05::1/56", ""]) {
    assert.throws(() => subnetRange6(network, "eu-central-1a"), RangeError);
  }
});

test("nodes are in different zones while there are enough, whatever the order of the list", () => {
  const zones = ["x-1a", "x-1b", "x-1c"];
  const expected = { "901a": "x-1a", "901b": "x-1b", "901d": "x-1a" };
  for (const names of [
    ["901a", "901b", "901d"],
    ["901d", "901b", "901a"],
  ]) {
    assert.deepEqual(Object.fromEntries(chooseZones(names, zones)), { ...expected });
  }
  assert.deepEqual(Object.fromEntries(chooseZones(["zulu", "alpha"], zones)), {
    alpha: "x-1a",
    zulu: "x-1b",
  });
  assert.deepEqual(Object.fromEntries(chooseZones(["901b"], ["x-1a"])), { "901b": "x-1a" });
});

test("a volume is found by its id", () => {
  assert.equal(
    volumeDevice("vol-0123456789abcdef0"),
    "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0",
  );
});
