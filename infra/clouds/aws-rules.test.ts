import assert from "node:assert/strict";
import { test } from "node:test";
import { regionOf } from "../testing/region.ts";
import { listIngress } from "./aws-rules.ts";

const rulesOf = (written: Parameters<typeof regionOf>[0]): string[] =>
  listIngress(regionOf(written)).map(
    ({ name, family, ipProtocol, fromPort, toPort }) =>
      `${family} ${name}: ${ipProtocol} ${fromPort} ${toPort}`,
  );

test("a relay is asked for DERP, STUN, path MTU and ping in both families, and nothing else", () => {
  assert.deepEqual(rulesOf({}), [
    "ipv4 derp-443: tcp 443 443",
    "ipv4 stun-3478: udp 3478 3478",
    "ipv4 mtu: icmp 3 4",
    "ipv4 echo: icmp 8 -1",
    "ipv6 derp-443: tcp 443 443",
    "ipv6 stun-3478: udp 3478 3478",
    "ipv6 mtu: icmpv6 2 -1",
    "ipv6 echo: icmpv6 128 -1",
  ]);
});

test("what a region asks for is opened, what it turns off is not, and path MTU stays", () => {
  const nodes = [{}, { derpPort: 8443 }];
  const region = { addresses: ["ipv4" as const], http: true, icmpEcho: false, peerRelayPort: 40_000, nodes };
  assert.deepEqual(rulesOf(region), [
    "ipv4 derp-443: tcp 443 443",
    "ipv4 derp-8443: tcp 8443 8443",
    "ipv4 http: tcp 80 80",
    "ipv4 stun-3478: udp 3478 3478",
    "ipv4 peer-relay: udp 40000 40000",
    "ipv4 mtu: icmp 3 4",
  ]);
});
