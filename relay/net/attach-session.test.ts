import assert from "node:assert/strict";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { generatePrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { encodeClientInfo } from "../protocol/handshake.ts";
import { encodeSendPacket } from "../protocol/writer.ts";
import { Stage } from "../testing/cast.ts";
import { relayPublic } from "../testing/vectors.ts";
import { attachSession } from "./attach-session.ts";

const origin = { ip: Buffer.alloc(16), port: 0, notIdeal: false };

test("101. two full-size frames that were read at once pass one after the other, a second apart", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stage = new Stage();
  stage.core.setRateLimit({ bytesPerSecond: 65_568, burst: 65_568 }, stage.now);
  const bob = stage.join("bob");
  const alice = generatePrivateKey();
  const info = { version: 2, canAckPings: false, isProber: false, appName: "" };
  const frame = encodeSendPacket(bob.key, Buffer.alloc(65_536, 1));
  const bytes = Buffer.concat([
    encodeClientInfo(alice, publicKeyOf(alice), relayPublic, Buffer.alloc(24), info),
    frame,
    frame,
  ]);
  const [served] = duplexPair();
  const paused = once(served, "pause");
  attachSession(
    served,
    bytes,
    (transport) => stage.core.open(transport, Buffer.alloc(0), origin, stage.now),
    () => stage.now,
  );
  await paused;
  stage.pass();
  assert.equal(bob.seen.length, 1);
  stage.now += 1_000;
  t.mock.timers.tick(1_000);
  stage.pass();
  assert.equal(bob.seen.length, 2);
});
