import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import type { AddressInfo } from "node:net";
import type { FleetNode } from "../../infra/clouds/cloud.ts";
import { KitError } from "../../relay/errors.ts";
import { requireFreePorts } from "./ports.ts";

const nodeWith = (name: string, derpPort: number, stunPort: number): FleetNode => ({
  name,
  regionId: 901,
  regionCode: "alfa",
  hostName: "a.example",
  certName: "",
  ipv4: "127.0.0.1",
  ipv6: "none",
  derpPort,
  stunPort,
  state: "serving",
  location: "",
  size: "",
  relayConfig: { hostname: "a.example", certMode: "pinned" },
});

test("every port that is taken is named with its node, and free ones are let go again", async () => {
  const tcp = createServer().listen(0, "127.0.0.1");
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
  const takenTcp = (tcp.address() as AddressInfo).port;
  const takenUdp = udp.address().port;
  await assert.rejects(
    requireFreePorts([nodeWith("901a", takenTcp, 28_998), nodeWith("901b", 28_999, takenUdp)]),
    (error) => {
      assert.ok(error instanceof KitError && error.code === "port-in-use");
      assert.deepEqual(
        error.problems.map(({ path, message }) => `${path}: ${message}`),
        [
          `node 901a: TCP 127.0.0.1:${takenTcp} (DERP) is taken`,
          `node 901b: UDP 127.0.0.1:${takenUdp} (STUN) is taken`,
        ],
      );
      return true;
    },
  );
  tcp.close();
  udp.close();
  await Promise.all([once(tcp, "close"), once(udp, "close")]);
  const free = [nodeWith("901a", takenTcp, takenUdp)];
  await requireFreePorts(free);
  await requireFreePorts(free);
});
