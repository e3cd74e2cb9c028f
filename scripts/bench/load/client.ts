/** A client that loads a relay: logged in, and with its stream in the caller's hands. */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { orGiveUp, RelayFailure } from "../../../relay/client/failure.ts";
import type { ServerFrame } from "../../../relay/client/server-frame.ts";
import { ClientSession } from "../../../relay/client/session.ts";
import { createTrust, openTransport } from "../../../relay/client/transport.ts";
import { generatePrivateKey, type NodeKey, publicKeyOf } from "../../../relay/crypto/keys.ts";
import { nonceLength, protocolVersion } from "../../../relay/protocol/frame.ts";

/** Where the relay is, and what it shows. */
export interface Target {
  readonly hostName: string;
  readonly port: number;
  readonly pin: string;
  /** Of the relay's process. */
  readonly pid: number;
}

export interface Client extends Disposable {
  readonly key: NodeKey;
  readonly stream: Duplex;
  /** True once the connection has ended. */
  readonly lost: boolean;
}

/** Makes a client and is told of each frame that it receives. @throws RelayFailure if it cannot log in */
export type Connect = (handle: (frame: ServerFrame) => void) => Promise<Client>;

const loginWithinMs = 30_000;

/** How to connect to a relay. The system's roots are read once. */
export function createConnect({ hostName, port, pin }: Target): Connect {
  const trust = createTrust();
  return async (handle) => {
    const signal = AbortSignal.timeout(loginWithinMs);
    const endpoint = { address: "127.0.0.1", port };
    const { stream } = await openTransport({
      endpoint,
      identity: { hostName, certName: pin },
      trust,
      signal,
    });
    const privateKey = generatePrivateKey();
    const loggedIn = Promise.withResolvers<void>();
    let lost = false;
    const info = { version: protocolVersion, canAckPings: true, isProber: false, appName: "" };
    const session = new ClientSession(
      { hostName, privateKey, info, nonce: randomBytes(nonceLength) },
      {
        write: (bytes) => stream.write(bytes),
        event: (event) => {
          if (event.type === "loggedIn") loggedIn.resolve();
          else if (event.type === "failed") loggedIn.reject(new RelayFailure(event.reason));
          else handle(event);
        },
      },
    );
    stream.on("data", (chunk: Buffer) => session.receive(chunk));
    stream.on("close", () => {
      lost = true;
      loggedIn.reject(new RelayFailure(session.meaningOfEnd));
    });
    session.start();
    await orGiveUp(loggedIn.promise, signal, () => session.waitingFor);
    return {
      key: publicKeyOf(privateKey),
      stream,
      get lost() {
        return lost;
      },
      [Symbol.dispose]: () => void stream.destroy(),
    };
  };
}

/** Connects so many, sixteen at a time. */
export async function connectMany(
  count: number,
  connect: (index: number) => Promise<Client>,
): Promise<Client[]> {
  const clients: Client[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) clients.push(await connect(next++));
  };
  await Promise.all(Array.from({ length: Math.min(16, count) }, work));
  return clients;
}
