/** Asks a relay's STUN for the address that it sees, as Tailscale's clients do. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { isIPv6 } from "node:net";
import { normaliseIp } from "../ip-address.ts";
import { decodeBindingResponse, encodeBindingRequest, transactionIdLength } from "../stun/message.ts";
import { describeError, type Endpoint, renderEndpoint } from "./dial.ts";
import { RelayFailure } from "./failure.ts";

/** Nothing came back: either the relay is silent or UDP does not get through. */
export class StunSilence extends RelayFailure {}

export interface StunAnswer {
  /** Where the requests were sent from. */
  readonly local: Endpoint;
  /** Where the relay says that they came from. */
  readonly mapped: Endpoint;
}

const tries = 3;
const tryMs = 1_000;

/**
 * Sends up to three requests, a second apart, and waits for the answer to any of them.
 *
 * @param announce is told where the requests will come from, before the first is sent
 * @throws StunSilence if nothing comes back; RelayFailure if only wrong answers do, or UDP itself fails
 */
export async function askStun(
  to: Endpoint,
  signal: AbortSignal,
  announce: (local: Endpoint) => void = () => {},
): Promise<StunAnswer> {
  using closing = new DisposableStack();
  const socket = closing.adopt(createSocket(isIPv6(to.address) ? "udp6" : "udp4"), (open) => open.close());
  const where = `UDP ${renderEndpoint(to)}`;
  try {
    const connected = once(socket, "connect");
    socket.connect(to.port, to.address);
    await connected;
    const { address, port } = socket.address();
    const local = { address: normaliseIp(address) ?? address, port };
    announce(local);
    return { local, mapped: await exchange(socket, where, signal) };
  } catch (error) {
    if (error instanceof RelayFailure) throw error;
    throw new RelayFailure(`no STUN at ${where}: ${describeError(error)}`, { cause: error });
  }
}

/** @throws Error of the socket, such as the network's word that nothing listens there */
async function exchange(socket: Socket, where: string, signal: AbortSignal): Promise<Endpoint> {
  const transactionId = randomBytes(transactionIdLength);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(tries * tryMs)]);
  const send = (): void => socket.send(encodeBindingRequest(transactionId));
  const repeating = setInterval(send, tryMs);
  let oddity: string | undefined;
  try {
    const messages = on(socket, "message", { signal: limit });
    send();
    for await (const message of messages) {
      const [datagram] = message as [Buffer];
      const response = decodeBindingResponse(datagram);
      if (response?.transactionId.equals(transactionId)) {
        return { address: response.address, port: response.port };
      }
      oddity = response === undefined ? "the answer is not STUN's" : "the answer has another transaction id";
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  } finally {
    clearInterval(repeating);
  }
  throw oddity === undefined ? new StunSilence(`no answer from ${where}`) : new RelayFailure(oddity);
}
