/**
 * Memory for payloads that come in several chunks. A large packet mostly does, and a new buffer for each costs more than
 * all else that is done to it: its pages come from the system one by one, and go back through the garbage collector.
 */

/** Holds every frame that a client or a relay may send but ClientInfo. */
const length = 65_600;
/** How many are kept while nobody gathers: 1 MiB. */
const mostKept = 16;
/** Less than this is not worth a whole buffer: a client could make many be taken by sending little. */
const leastWorth = 16_384;

const kept: Buffer[] = [];

/** A buffer with room for so many bytes. What is in it is of no meaning. */
export function takeGatherBuffer(room: number): Buffer {
  if (room <= leastWorth || room > length) return Buffer.allocUnsafeSlow(room);
  return kept.pop() ?? Buffer.allocUnsafeSlow(length);
}

/** Takes back a buffer whose bytes nobody uses any longer. */
export function giveGatherBuffer(buffer: Buffer): void {
  if (buffer.length === length && kept.length < mostKept) kept.push(buffer);
}
