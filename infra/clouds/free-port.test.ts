import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { KitError } from "../../relay/errors.ts";
import { chooseFreePort, findPortFault, firstPort, lastPort } from "./free-port.ts";

/** A source of randomness that gives the ports of a list, one after the other. */
function inTurn(...ports: number[]): (below: number) => number {
  return (below) => {
    const port = ports.length > 1 ? ports.shift() : ports[0];
    assert.ok(port !== undefined && port - firstPort < below);
    return port - firstPort;
  };
}

/** Two ports in the range that are free now. */
async function twoFreePorts(protocol: "tcp" | "udp"): Promise<[number, number]> {
  const random = (below: number): number => Math.floor(Math.random() * below);
  const first = await chooseFreePort(protocol, new Set(), random);
  return [first, await chooseFreePort(protocol, new Set([first]), random)];
}

test("a port that is taken is passed over, free or not", async () => {
  for (const protocol of ["tcp", "udp"] as const) {
    const [first, second] = await twoFreePorts(protocol);
    assert.equal(await chooseFreePort(protocol, new Set(), inTurn(first, second)), first);
    assert.equal(await chooseFreePort(protocol, new Set([first]), inTurn(first, second)), second);
    assert.ok(second >= firstPort && second <= lastPort);
  }
});

test("a TCP port that somebody listens on is passed over", async (t) => {
  const [busy, free] = await twoFreePorts("tcp");
  const server = createServer().listen(busy, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  assert.equal(await chooseFreePort("tcp", new Set(), inTurn(busy, free)), free);
});

test("a UDP port that somebody has bound is passed over", async (t) => {
  const [busy, free] = await twoFreePorts("udp");
  const socket = createSocket("udp4").bind(busy, "127.0.0.1");
  t.after(() => socket.close());
  await once(socket, "listening");
  assert.equal(await chooseFreePort("udp", new Set(), inTurn(busy, free)), free);
});

test("why a port cannot be had is said", async () => {
  // An address for documentation (RFC 5737), which is no machine's own.
  for (const protocol of ["tcp", "udp"] as const) {
    assert.match(
      (await findPortFault(protocol, "192.0.2.1", firstPort)) ?? "",
      /^cannot be had: .*EADDRNOTAVAIL/,
    );
  }
});

test("with every port taken the search ends, and says what to do", async () => {
  const all = new Set(Array.from({ length: lastPort - firstPort + 1 }, (_, index) => firstPort + index));
  await assert.rejects(
    chooseFreePort("tcp", all, () => 0),
    (error) => error instanceof KitError && error.code === "port-in-use" && /derpPort/.test(error.fix),
  );
});
