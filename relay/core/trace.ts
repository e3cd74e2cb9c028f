/** What is told to who looks for a fault, one event after the other. Ordinarily nobody does, and nothing is told. */
import type { NodeKey } from "../crypto/keys.ts";
import type { ClientInfo } from "../protocol/info.ts";
import type { DropReason } from "./counters.ts";
import type { CloseReason, Origin } from "./session-context.ts";

export interface Trace {
  /** Keys are 32 bytes, which are lent. */
  readonly dropped?: (reason: DropReason, source: Buffer, destination: Buffer) => void;
  /** @returns is told of one client from its login on; undefined if nobody wants to know of this one */
  readonly client?: (key: NodeKey, info: ClientInfo, origin: Origin) => ClientTrace | undefined;
}

export interface ClientTrace {
  /** It is in, with so many connections of its key. */
  readonly registered: (connections: number) => void;
  /** It has sent a frame's header. */
  readonly frame: (type: number, length: number) => void;
  readonly closed: (reason: CloseReason) => void;
}
