/** What clients measure latency and find their own public address with. */
import { BlockList, isIPv4 } from "node:net";
import { type Endpoint, renderEndpoint } from "../../../relay/client/dial.ts";
import { askStun } from "../../../relay/client/stun.ts";
import { CheckFailed, type Seen } from "../check.ts";
import type { Reached } from "../reach.ts";

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
