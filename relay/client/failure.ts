/** What a client of a relay can meet: a relay that is away, is somebody else, or breaks the protocol. */

import type { NodeKey } from "../crypto/keys.ts";

/** A fault of the relay or of the way to it. The message is a clause for a person and holds no secret. */
export class RelayFailure extends Error {
  override readonly name: string = "RelayFailure";
}

/** The relay told its key and closed the connection when it knew whose it was, as it does with a client it does not admit. */
export class LoginRefused extends RelayFailure {
  /** The relay's key, from ServerKey. */
  readonly serverKey: NodeKey;

  constructor(message: string, serverKey: NodeKey) {
    super(message);
    this.serverKey = serverKey;
  }
}

/**
 * Waits for a promise until the signal aborts.
 *
 * @param what names the thing that is waited for at that moment, for example `ServerInfo`
 * @throws RelayFailure if the signal aborts first; the promise's own error if it rejects
 */
export async function orGiveUp<T>(promise: Promise<T>, signal: AbortSignal, what: () => string): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const giveUp = (): void => aborted.reject(new RelayFailure(`gave up waiting for ${what()}`));
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
