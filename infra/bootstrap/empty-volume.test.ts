import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { emptyVolume } from "./empty-volume.ts";

test("the volume of machines without mkfs is an ext4 filesystem of 64 MiB with our label", () => {
  const volume = gunzipSync(gunzipSync(Buffer.from(emptyVolume, "base64")));
  assert.equal(volume.length, 64 * 1024 * 1024);
  // The superblock begins at 1024; magic number and label are at 56 and 120 of it.
  assert.equal(volume.readUInt16LE(1024 + 56), 0xef53);
  assert.equal(volume.toString("latin1", 1024 + 120, 1024 + 127), "derpkit");
});
