import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import * as net from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as tls from "node:tls";
import { test, type TestContext } from "node:test";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { findOnreadFields, readSocket } from "./socket-reader.ts";

const fields = findOnreadFields();
const { certificatePem: cert, keyPem: key } = createSelfSigned({
  hostName: "127.0.0.1",
  ...pinnedValidity(new Date()),
});

/** Both ends of a connection on loopback: a client that writes, and what a server was given. */
async function connection(t: TestContext, secure: boolean): Promise<[net.Socket, net.Socket]> {
  const server = secure ? tls.createServer({ cert, key }) : net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const given = once(server, secure ? "secureConnection" : "connection");
  const client = secure ? tls.connect({ port, rejectUnauthorized: false }) : net.connect({ port });
  const [served] = (await given) as [net.Socket];
  t.after(() => {
    client.destroy();
    served.destroy();
    server.close();
  });
  return [client, served];
}

test("this Node says where it keeps the option onread", () => {
  assert.ok(fields);
});

for (const [how, given] of [
  ["into one buffer", fields],
  ["by data events", "events"],
] as const) {
  for (const secure of [true, false]) {
    test(`${how}, ${secure ? "with" : "without"} TLS: every byte once and in order, and none during a pause`, async (t) => {
      const [client, served] = await connection(t, secure);
      const [sent, received] = [createHash("sha256"), createHash("sha256")];
      let [pieces, paused] = [0, false];
      const reader = readSocket(
        served,
        (piece) => {
          assert.ok(!paused && piece.length <= 65_536);
          received.update(piece);
          if (++pieces % 7 !== 0) return;
          paused = true;
          reader.pause();
          setTimeout(() => {
            paused = false;
            reader.resume();
          }, pieces % 5);
        },
        given,
      );
      const ended = once(served, "end");
      const sizes = [1, 64, 1_280, 16_384, 16_385, 65_536, 200_000];
      for (let round = 0; round < 40; round++) {
        const bytes = randomBytes(sizes[round % sizes.length] as number);
        sent.update(bytes);
        client.write(bytes);
        if (round % 3 === 0) await sleep(1);
      }
      client.end();
      await ended;
      assert.equal(received.digest("hex"), sent.digest("hex"));
    });

    test(`${how}, ${secure ? "with" : "without"} TLS: two sockets that take turns do not see each other's bytes`, async (t) => {
      const pairs = [await connection(t, secure), await connection(t, secure)];
      const seen = pairs.map(() => Buffer.alloc(0));
      for (const [index, [, served]] of pairs.entries()) {
        readSocket(
          served,
          (piece) => void (seen[index] = Buffer.concat([seen[index] as Buffer, piece])),
          given,
        );
      }
      for (let round = 0; round < 200; round++) {
        for (const [index, [client]] of pairs.entries()) client.write(Buffer.alloc(100 + round, index + 1));
      }
      await Promise.all(
        pairs.map(async ([client, served]) => {
          client.end();
          await once(served, "end");
        }),
      );
      for (const [index, bytes] of seen.entries()) {
        assert.equal(bytes.length, 200 * 100 + (199 * 200) / 2);
        assert.ok(bytes.every((byte) => byte === index + 1));
      }
    });
  }
}

test("what is here already when it is told to wait comes after it, and may stop it again", async (t) => {
  const [client, served] = await connection(t, true);
  const seen: string[] = [];
  const reader = readSocket(served, (piece) => {
    seen.push(piece.toString());
    reader.pause();
  });
  // Records that are read together are brought one after the other.
  for (const text of ["one", "two", "three"]) client.write(text);
  client.end();
  const ended = once(served, "end");
  while (seen.join("") !== "onetwothree") {
    const before = seen.length;
    await sleep(5);
    assert.ok(seen.length - before <= 1);
    reader.resume();
  }
  reader.resume();
  await ended;
});
