/** What a packet costs in the core, without TLS or socket: `npm run bench -- --micro`. */
import { keyLength } from "../protocol/frame.ts";
import { encodeSendPacket } from "../protocol/writer.ts";
import { type Client, Stage } from "../testing/cast.ts";
import { Counters } from "./counters.ts";
import { type Connection, Peer } from "./peer.ts";
import { Router } from "./router.ts";

const packets = 1_000;

export const benchmarks: Readonly<Record<string, () => number>> = {
  "router: to the destination of the packet before": routing(1),
  "router: to 100 destinations in turn": routing(100),
  "router: to 10,000 destinations in turn": routing(10_000),
  "session to session: a packet of 64 B": passing(64),
  "session to session: a packet of 1280 B": passing(1_280),
};

/** The way of a packet to its destination's connection, which throws it away. */
function routing(destinations: number): () => number {
  const router = new Router(new Counters());
  const nobody: Connection = {
    deliver() {},
    peerGone() {},
    peerNotHere() {},
    presence: () => Buffer.alloc(0),
    expel() {},
    shares() {},
  };
  const source = new Peer(keyOf(destinations));
  const payloads = Array.from({ length: destinations }, (_, index) => {
    router.register({ ...nobody }, keyOf(index));
    return Buffer.concat([keyOf(index), Buffer.alloc(64)]);
  });
  let next = 0;
  return () => {
    let recent: Peer | undefined;
    for (let count = 0; count < packets; count++) {
      const payload = payloads[next] as Buffer;
      next = next + 1 === destinations ? 0 : next + 1;
      recent = router.route(nobody, source, recent, payload, 0, payload.length, 0);
    }
    return packets;
  };
}

/** All of the core: bytes of the sender's stream in, bytes for the receiver's out, at one flush for each chunk. */
function passing(size: number): () => number {
  const stage = new Stage();
  const [alice, bob] = [stage.join("alice"), stage.join("bob")];
  let written = 0;
  Object.assign(bob, { write: (bytes: Buffer) => (written += bytes.length) > 0 } satisfies Partial<Client>);
  const frame = encodeSendPacket(bob.key, Buffer.alloc(size));
  const perChunk = Math.floor(65_536 / frame.length);
  const chunk = Buffer.concat(Array.from({ length: perChunk }, () => frame));
  return () => {
    const before = written;
    alice.say(chunk);
    stage.core.flush(stage.now);
    if (written === before) throw new Error("nothing came through");
    return perChunk;
  };
}

function keyOf(index: number): Peer["key"] {
  const key = Buffer.alloc(keyLength, 1);
  key.writeUInt32BE(index);
  return key as Peer["key"];
}
