/**
 * Reads a socket in pieces of at most 64 KiB that are used at once and not kept.
 *
 * On Node a stream's `data` event costs a new buffer and a way through the stream's own queue, and TLS brings one for
 * each record, which in DERP is one for each packet. `net.Socket` can read into a buffer of its owner's instead, and so
 * a packet costs 1.6 times less; but its option `onread` is for sockets that a program connects itself, and a server is
 * given its sockets. So here, and nowhere else, is done by Node's own fields what the option does. Which fields these are
 * is asked of a socket that has the option, and where that gives no answer there are `data` events.
 *
 * On Bun `data` events are quick, for a piece is all that has come. Its buffers are given back as soon as they are read:
 * left to the garbage collector they were some 200 MiB while 500 clients sent without end.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** As much as Node reads at once, in bytes. */
const pieceLength = 65_536;

/** Where Node keeps what the option `onread` says. */
export interface OnreadFields {
  readonly buffer: PropertyKey;
  readonly callback: PropertyKey;
}

/** The part of a socket's handle that puts the option into effect. */
interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}

/** One for all sockets: a piece is used up before the next is read. */
const shared = Buffer.allocUnsafeSlow(pieceLength);

/** @returns undefined on a runtime that keeps it elsewhere, or has no such option */
export function findOnreadFields(): OnreadFields | undefined {
  const onread = { buffer: new Uint8Array(1), callback: () => true };
  const probe = new Socket({ onread });
  const fieldOf = (value: unknown): PropertyKey | undefined =>
    Reflect.ownKeys(probe).find((key) => Reflect.get(probe, key) === value);
  const [buffer, callback] = [fieldOf(onread.buffer), fieldOf(onread.callback)];
  probe.destroy();
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
}

const usual = findOnreadFields() ?? "events";

/**
 * Reads until the socket ends, which it says by its events, as always.
 *
 * @param receive is given each piece, for the time of the call
 * @param how for tests: the fields to read by, or `data` events
 */
export function readSocket(
  socket: Duplex,
  receive: (piece: Buffer) => void,
  how: OnreadFields | "events" = usual,
): SocketReader {
  const reader = new SocketReader(socket, receive);
  const handle = Reflect.get(socket, "_handle") as Partial<Handle> | undefined;
  if (how !== "events" && how.buffer in socket && typeof handle?.useUserBuffer === "function") {
    Reflect.set(socket, how.buffer, shared);
    Reflect.set(socket, how.callback, (length: number) => reader.take(shared.subarray(0, length)));
    handle.useUserBuffer(shared);
    socket.resume();
  } else {
    socket.on("data", (chunk: Buffer) => {
      reader.take(chunk);
      // What comes over no socket may be the memory of who sent it.
      if (socket instanceof Socket) giveBack(chunk);
    });
  }
  return reader;
}

/** Hands over what comes, and can be told to wait. */
export class SocketReader {
  readonly #socket: Duplex;
  readonly #receive: (piece: Buffer) => void;
  #paused = false;
  /** What was here already when it was told to wait: TLS brings all records that were read together, pause or not. */
  #held: Buffer[] = [];

  constructor(socket: Duplex, receive: (piece: Buffer) => void) {
    this.#socket = socket;
    this.#receive = receive;
  }

  /** Bun reads more at once than a piece, and a client that is to wait would wait too late. @returns whether to read on */
  take(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; at += pieceLength) {
      if (this.#paused) {
        this.#held.push(Buffer.from(chunk.subarray(at)));
        break;
      }
      this.#receive(chunk.length <= pieceLength ? chunk : chunk.subarray(at, at + pieceLength));
    }
    return !this.#paused;
  }

  /** Hands over nothing more; TCP then holds the other side back. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.take(chunk);
    if (!this.#paused) this.#socket.resume();
  }
}

/** Frees a chunk's memory now, if it is the chunk's own. */
function giveBack({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}
