/** What clients measure latency and find their own public address with. */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { describeError, type Endpoint, renderEndpoint } from "../../../relay/client/dial.ts";
import { normaliseIp } from "../../../relay/ip-address.ts";
import {
  decodeBindingResponse,
  encodeBindingRequest,
  transactionIdLength,
} from "../../../relay/stun/message.ts";
import { CheckFailed, type Seen } from "../check.ts";
import type { Reached } from "../reach.ts";

/** Nothing came back: either the relay is silent or UDP does not get through. */
export class StunSilence extends CheckFailed {
  override readonly name = "StunSilence";
}

const tries = 3;
const tryMs = 1_000;

/** The answer tells our own address, unless something between us and the relay changes addresses. */
export async function checkStun(to: Reached, signal: AbortSignal): Promise<Seen> {
  const { local, mapped } = await askStun(to, signal);
  const [seen, own] = [renderEndpoint(mapped), renderEndpoint(local)];
  if (isIPv4(mapped.address) !== isIPv4(to.address)) {
    throw new CheckFailed(`it says ${seen}, an address of the other family`);
  }
  if (seen === own) return { detail: `it says ${seen}, our own address` };
  if (to.detoured) return { detail: `it says ${seen}; behind --connect-to that need not be our own, ${own}` };
  if (isDirect(local.address)) throw new CheckFailed(`it says ${seen}, and our own address is ${own}`);
  if (isUnusable(mapped)) throw new CheckFailed(`it says ${seen}, which is nobody's address`);
  return { detail: `it says ${seen}; our own ${own} is behind NAT` };
}

/**
 * Sends up to three requests, a second apart, and waits for the answer to any of them.
 *
 * @throws StunSilence if nothing comes back; CheckFailed if only wrong answers do, or UDP itself fails
 */
export async function askStun(
  to: Endpoint,
  signal: AbortSignal,
): Promise<{ local: Endpoint; mapped: Endpoint }> {
  using closing = new DisposableStack();
  const socket = closing.adopt(createSocket(isIPv6(to.address) ? "udp6" : "udp4"), (open) => open.close());
  const where = `UDP ${renderEndpoint(to)}`;
  try {
    const connected = once(socket, "connect");
    socket.connect(to.port, to.address);
    await connected;
    const { address, port } = socket.address();
    const mapped = await exchange(socket, where, signal);
    return { local: { address: normaliseIp(address) ?? address, port }, mapped };
  } catch (error) {
    if (error instanceof CheckFailed) throw error;
    throw new CheckFailed(`no STUN at ${where}: ${describeError(error)}`, { cause: error });
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
  throw oddity === undefined ? new StunSilence(`no answer from ${where}`) : new CheckFailed(oddity);
}

/** True if no NAT can be between this address of ours and a relay: it is loopback, or public. */
function isDirect(address: string): boolean {
  return loopback.check(address, kind(address)) || !reserved.check(address, kind(address));
}

function isUnusable({ address, port }: Endpoint): boolean {
  return port === 0 || loopback.check(address, kind(address)) || nobody.check(address, kind(address));
}

function kind(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}

const loopback = blocks("127.0.0.0/8", "::1/128");
/** Unspecified and multicast. */
const nobody = blocks("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8");
/** What machines have behind a NAT or in a tunnel (RFC 6890 and the ones it cites). */
const reserved = blocks(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "100.64.0.0/10",
  "192.0.0.0/24",
  "198.18.0.0/15",
  "fc00::/7",
  "fe80::/10",
);

function blocks(...subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", length] = subnet.split("/");
    list.addSubnet(network, Number(length), kind(network));
  }
  return list;
}
