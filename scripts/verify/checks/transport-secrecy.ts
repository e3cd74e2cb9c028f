/** Nobody on the way to the relay can read what passes. */
import { randomBytes } from "node:crypto";
import type { Tap } from "../../../relay/client/dial.ts";
import { CheckFailed, type Seen } from "../check.ts";
import { type OpenClient, passPacket, type ProbeClient } from "../probe-client.ts";

/** The shortest piece of a packet that counts as seen, in bytes: by chance none turns up. */
const windowLength = 16;
const packetLength = 4_096;

/**
 * Passes a random packet in each direction between two clients, and looks for pieces of them in every byte that went
 * through the clients' TCP sockets meanwhile.
 */
export async function checkTransportSecrecy(open: OpenClient, signal: AbortSignal): Promise<Seen> {
  const captures = { alice: new Capture(), bob: new Capture() };
  await using alice = await open({ signal, tap: captures.alice.tap });
  await using bob = await open({ signal, tap: captures.bob.tap });
  const packets = [
    await passMarked(alice, bob, captures.alice, captures.bob, signal),
    await passMarked(bob, alice, captures.bob, captures.alice, signal),
  ];
  const streams = Object.values(captures).flatMap(({ sent, received }) => [sent, received].map(join));
  for (const packet of packets) {
    if (streams.some((bytes) => findPiece(bytes, packet) !== undefined)) {
      throw new CheckFailed("a packet went over the network in clear");
    }
  }
  const total = streams.reduce((sum, { length }) => sum + length, 0);
  return { detail: `no ${windowLength} bytes of a packet among ${total} captured at the TCP sockets` };
}

/** Finds the first piece of a packet in a stream of bytes. @returns where in the stream, or undefined */
export function findPiece(stream: Buffer, packet: Buffer): number | undefined {
  const pieces = new Set<string>();
  for (let at = 0; at + windowLength <= packet.length; at++) pieces.add(pieceAt(packet, at));
  for (let at = 0; at + windowLength <= stream.length; at++) {
    if (pieces.has(pieceAt(stream, at))) return at;
  }
  return undefined;
}

/** What passed a client's TCP socket, below TLS. */
class Capture {
  readonly sent: Buffer[] = [];
  readonly received: Buffer[] = [];
  readonly tap: Tap = (direction, bytes) => {
    this[direction].push(Buffer.from(bytes));
  };
}

/** Passes a packet and makes sure that the captures were not looking elsewhere: they have to have grown by as much. */
async function passMarked(
  from: ProbeClient,
  to: ProbeClient,
  sender: Capture,
  receiver: Capture,
  signal: AbortSignal,
): Promise<Buffer> {
  const packet = randomBytes(packetLength);
  const before = [join(sender.sent).length, join(receiver.received).length] as const;
  await passPacket(from, to, packet, signal);
  const grown = Math.min(join(sender.sent).length - before[0], join(receiver.received).length - before[1]);
  if (grown < packet.length) throw new CheckFailed("the packet did not pass the sockets that were captured");
  return packet;
}

function join(chunks: readonly Buffer[]): Buffer {
  return Buffer.concat(chunks);
}

function pieceAt(bytes: Buffer, at: number): string {
  return bytes.toString("latin1", at, at + windowLength);
}
