/** Sockets as systemd has them: bound, and read by nobody in the process that has opened them. For Linux, on Node. */
import * as dgram from "node:dgram";
import * as net from "node:net";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { TestContext } from "node:test";

/** A handle of Node's own. */
interface Handle {
  readonly fd: number;
  getsockname(address: Partial<AddressInfo>): number;
  close(): void;
}

/** How Node's cluster opens sockets for others; those of its public interface are read as soon as they are bound. */
process.noDeprecation = true; // Node's cluster may still use what others had better not.
const opening = { ...net, ...dgram } as unknown as {
  _createServerHandle(address: string, port: number, family: 4 | 6, fd: undefined, flags: number): Handle;
  _createSocketHandle(
    address: string,
    port: number,
    type: dgram.SocketType,
    fd: undefined,
    flags: number,
  ): Handle;
};

export interface OpenSocket {
  readonly fd: number;
  readonly port: number;
}

/** Opens a TCP socket at a free port; it ends with the test. Who is passed it has it listen. */
export function openTcp(t: TestContext, address: string): OpenSocket {
  return closing(t, opening._createServerHandle(address, 0, address.includes(":") ? 6 : 4, undefined, 0));
}

/** Opens a UDP socket at a free port; it ends with the test. */
export function openUdp(t: TestContext, address: string): OpenSocket {
  return closing(t, createUdp(address));
}

/** The same for this very process, where who is passed it closes the one descriptor that there is. */
export function giveUdp(address: string): OpenSocket {
  return describe(createUdp(address));
}

function createUdp(address: string): Handle {
  return opening._createSocketHandle(address, 0, address.includes(":") ? "udp6" : "udp4", undefined, 0);
}

function closing(t: TestContext, handle: Handle): OpenSocket {
  t.after(() => handle.close());
  return describe(handle);
}

function describe(handle: Handle): OpenSocket {
  const address: Partial<AddressInfo> = {};
  handle.getsockname(address);
  return { fd: handle.fd, port: address.port ?? 0 };
}
