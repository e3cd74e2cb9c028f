/** What the relay is for. */
import { randomBytes } from "node:crypto";
import { maxPacket } from "../../../relay/protocol/frame.ts";
import { CheckFailed, type Seen } from "../check.ts";
import { type OpenClient, passPacket } from "../probe-client.ts";

/** In bytes: the smallest, an ordinary one, the largest. */
const sizes = [0, 1, 1_280, maxPacket];

/** Packets between two clients, in both directions, arrive byte for byte and from whom they came. */
export async function checkPackets(
  openAlice: OpenClient,
  openBob: OpenClient,
  signal: AbortSignal,
): Promise<Seen> {
  await using alice = await openAlice({ signal });
  await using bob = await openBob({ signal });
  if (!alice.connection.facts.serverKey.equals(bob.connection.facts.serverKey)) {
    throw new CheckFailed("two connections met relays with different keys");
  }
  for (const size of sizes) {
    await passPacket(alice, bob, randomBytes(size), signal);
    await passPacket(bob, alice, randomBytes(size), signal);
  }
  return { detail: `${sizes.join(", ")} bytes, both ways, byte for byte` };
}

/** Ping comes back as Pong. */
export async function checkPing(open: OpenClient, signal: AbortSignal): Promise<Seen> {
  await using client = await open({ signal });
  const started = performance.now();
  await client.connection.ping(signal);
  return { detail: `Pong after ${(performance.now() - started).toFixed(1)} ms` };
}
