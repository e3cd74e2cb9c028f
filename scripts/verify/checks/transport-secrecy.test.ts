import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { login } from "../../../relay/client/connection.ts";
import { dial, tapSocket } from "../../../relay/client/dial.ts";
import { closeStream, createTrust } from "../../../relay/client/transport.ts";
import { generatePrivateKey, publicKeyOf } from "../../../relay/crypto/keys.ts";
import { startTestRelay } from "../../../relay/testing/running-relay.ts";
import { clientsOver, type OpenClient } from "../probe-client.ts";
import { startInClear } from "../testing/meddler.ts";
import { checkTransportSecrecy, findPiece } from "./transport-secrecy.ts";

/** Clients as they would be without TLS. The tap sits where it sits below TLS. */
const clientsInClear =
  (port: number, withTap: boolean): OpenClient =>
  async ({ signal, tap }) => {
    const socket = await dial({ address: "127.0.0.1", port }, signal);
    const stream = withTap && tap !== undefined ? tapSocket(socket, tap) : socket;
    const transport = {
      stream,
      tlsVersion: "",
      certificates: [],
      [Symbol.asyncDispose]: () => closeStream(stream),
    };
    const privateKey = generatePrivateKey();
    const connection = await login(transport, { hostName: "relay.example", privateKey, signal });
    return {
      key: publicKeyOf(privateKey),
      connection,
      [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
    };
  };

test("over TLS no piece of a packet is among the captured bytes", async (t) => {
  const { derpPort, hostName, pin } = await startTestRelay(t);
  const open = clientsOver({
    endpoint: { address: "127.0.0.1", port: derpPort },
    identity: { hostName, certName: pin },
    trust: createTrust(),
  });
  const { detail } = await checkTransportSecrecy(open, t.signal);
  // Two packets of 4096 bytes pass two sockets each.
  assert.ok(Number(/among (\d+) captured/.exec(detail)?.[1]) > 4 * 4_096, detail);
});

test("where TLS is left away, the check finds the packet", async (t) => {
  const open = clientsInClear(await startInClear(t, await startTestRelay(t)), true);
  await assert.rejects(checkTransportSecrecy(open, t.signal), /in clear/);
});

test("where the tap sees nothing, the check says so and does not pass", async (t) => {
  const open = clientsInClear(await startInClear(t, await startTestRelay(t)), false);
  await assert.rejects(checkTransportSecrecy(open, t.signal), /did not pass the sockets that were captured/);
});

test("any 16 bytes of a packet are found wherever they are in a stream", () => {
  const packet = randomBytes(256);
  const place = fc.record({
    from: fc.nat(packet.length - 16),
    length: fc.integer({ min: 16, max: 64 }),
    before: fc.uint8Array({ maxLength: 100 }),
    after: fc.uint8Array({ maxLength: 100 }),
  });
  fc.assert(
    fc.property(place, ({ from, length, before, after }) => {
      const stream = Buffer.concat([before, packet.subarray(from, from + length), after]);
      const at = findPiece(stream, packet);
      // The bytes before may happen to continue the packet backwards.
      assert.ok(at !== undefined && at <= before.length);
      assert.ok(packet.includes(stream.subarray(at, at + 16)));
    }),
  );
});

test("15 bytes of a packet are no piece", () => {
  const packet = Buffer.from(Array.from({ length: 64 }, (_, index) => index));
  const stream = Buffer.concat([Buffer.alloc(40, 0xff), packet.subarray(20, 35), Buffer.alloc(40, 0xff)]);
  assert.equal(findPiece(stream, packet), undefined);
});
