import assert from "node:assert/strict";
import test from "node:test";
import { SlabPool, slabSize } from "./slab-pool.ts";

test("a slab that comes back is the next to be taken", () => {
  const pool = new SlabPool();
  const slab = pool.take();
  slab.used = 100;
  pool.give(slab);
  assert.equal(pool.bytesOut, 0);
  assert.equal(pool.take(), slab);
  assert.deepEqual([slab.used, pool.bytesOut], [0, slabSize]);
});

test("what is in use now and then is kept, and the rest is let go", () => {
  const pool = new SlabPool();
  const slabs = Array.from({ length: 5 }, () => pool.take());
  for (const slab of slabs) pool.give(slab);
  pool.trim(); // Since the last look all five were out.
  const used = [pool.take(), pool.take()];
  for (const slab of used) pool.give(slab);
  pool.trim();
  const kept = [pool.take(), pool.take()];
  assert.ok(kept.every((slab) => slabs.includes(slab)));
  assert.ok(!slabs.includes(pool.take()));
});

test("at its limit it asks for relief, and gives a slab all the same", () => {
  let asked = 0;
  const pool = new SlabPool(2 * slabSize, () => asked++);
  pool.take();
  pool.take();
  assert.equal(asked, 0);
  pool.take();
  assert.deepEqual([asked, pool.bytesOut], [1, 3 * slabSize]);
});
