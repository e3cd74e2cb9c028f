import assert from "node:assert/strict";
import { test } from "node:test";
import { openPorts, portsOf } from "./ports.ts";

const unset = { derpPort: undefined, stunPort: undefined };

test("a node has the protocols' ports unless it was given others", () => {
  assert.deepEqual(portsOf(unset), { derpPort: 443, stunPort: 3478 });
  assert.deepEqual(portsOf({ derpPort: 8443, stunPort: 1 }), { derpPort: 8443, stunPort: 1 });
});

test("a firewall opens each port of its nodes once, whatever their order", () => {
  const nodes = [{ derpPort: 8443, stunPort: undefined }, unset, { derpPort: 443, stunPort: 53 }];
  for (const order of [nodes, nodes.toReversed()]) {
    assert.deepEqual(openPorts(order), { tcp: [443, 8443], udp: [53, 3478] });
  }
});
