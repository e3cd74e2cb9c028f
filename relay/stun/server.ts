/** The UDP socket that answers STUN binding requests. */
import { createSocket, type RemoteInfo, type Socket, type SocketType } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, isIPv4, isIPv6 } from "node:net";
import timers from "node:timers/promises";
import { KitError } from "../errors.ts";
import { normaliseIp } from "../ip-address.ts";
import { decodeBindingRequest, encodeBindingResponse } from "./message.ts";
import { typeOfPassed } from "./passed-socket.ts";

/** Counts since they were created, named after the labels of derper's `stun_requests` and `stun_addrfamily`. */
export interface StunCounters {
  success: number;
  notStun: number;
  readError: number;
  writeError: number;
  ipv4: number;
  ipv6: number;
  /** Requests that got no answer because the server was to be silent; they are in no other count. */
  silenced: number;
}

export function createStunCounters(): StunCounters {
  return { success: 0, notStun: 0, readError: 0, writeError: 0, ipv4: 0, ipv6: 0, silenced: 0 };
}

export interface StunServerOptions {
  /** IP address, or undefined for every address of the machine, IPv4 and IPv6. */
  readonly host: string | undefined;
  /** UDP port; 0 asks the system for a free one. */
  readonly port: number;
  /**
   * Descriptor of a socket that somebody else has bound, in the place of one at this host and port. This descriptor is
   * closed at the end; whoever passed the socket has another.
   */
  readonly passed?: number | undefined;
  readonly counters: StunCounters;
  readonly log: (message: string) => void;
  /** True while nobody is to be answered, so that clients turn elsewhere. Never, by default. */
  readonly isSilent?: () => boolean;
  /** Tells the relay's own probe: it is answered in any case, and counted nowhere. */
  readonly isOwnProbe?: (address: string, port: number) => boolean;
}

export interface StunServer extends AsyncDisposable {
  readonly address: AddressInfo;
}

/** Takes what is not to be counted. */
const uncounted = createStunCounters();
/** How long a socket that could not be read stays closed; a passed one stays open, and what comes so soon is not logged. */
const pauseMs = 1_000;

/**
 * Starts to answer binding requests; all else is counted and gets no answer.
 *
 * @throws KitError `port-in-use` or `listen-failed`
 */
export async function startStunServer(options: StunServerOptions): Promise<StunServer> {
  const socket = await (options.passed === undefined
    ? openSocket(options.host, options.port)
    : takeSocket(options.passed));
  const address = socket.address();
  const stopping = new AbortController();
  const stopped = serve(socket, { ...options, port: address.port }, stopping.signal);
  return {
    address,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await stopped;
    },
  };
}

/**
 * Answers until it is told to stop. A socket that fails to read is closed and opened again after a pause, as Node
 * cannot pause one: an error that lasts would come back at once, for ever.
 */
async function serve(first: Socket, options: StunServerOptions, signal: AbortSignal): Promise<void> {
  let socket: Socket | undefined = first;
  while (socket !== undefined) {
    const error = await serveSocket(socket, options, signal);
    if (error === undefined) return;
    options.counters.readError += 1;
    options.log(`STUN cannot read, next try in ${pauseMs} ms: ${error.message}`);
    socket = await openAgain(options, signal);
  }
}

/** Answers on one socket, then closes it. @returns the error that ended it; undefined if it was told to stop */
async function serveSocket(
  socket: Socket,
  options: StunServerOptions,
  signal: AbortSignal,
): Promise<Error | undefined> {
  socket.on("message", (datagram, source) => handleDatagram(socket, datagram, source, options));
  const error = await new Promise<Error | undefined>((resolve) => {
    socket.on("error", options.passed === undefined ? resolve : createFaultNote(options));
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return error;
}

/** What a passed socket's fault comes to: it stays, for nobody but who has passed it could open it again. */
function createFaultNote({ counters, log }: StunServerOptions): (error: Error) => void {
  let quietUntil = 0;
  return (error) => {
    counters.readError += 1;
    const now = performance.now();
    if (now < quietUntil) return;
    quietUntil = now + pauseMs;
    log(`STUN cannot read, and goes on: ${error.message}`);
  };
}

/** Opens the socket after a pause, as often as it takes; undefined if it is told to stop before. */
async function openAgain(
  { host, port, log }: StunServerOptions,
  signal: AbortSignal,
): Promise<Socket | undefined> {
  for (;;) {
    try {
      await timers.setTimeout(pauseMs, undefined, { signal });
      return await openSocket(host, port);
    } catch (error) {
      if (signal.aborted) return undefined;
      log(error instanceof KitError ? error.message : String(error));
    }
  }
}

async function openSocket(host: string | undefined, port: number): Promise<Socket> {
  try {
    return await bind(host ?? "::", port);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const noIpv6 = code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL";
    if (host === undefined && noIpv6) return await openSocket("0.0.0.0", port);
    throw new KitError(code === "EADDRINUSE" ? "port-in-use" : "listen-failed", {
      message: `STUN cannot listen on UDP port ${port}.`,
      where: host ?? "every address",
      cause,
    });
  }
}

/** @throws KitError `listen-failed` */
async function takeSocket(fd: number): Promise<Socket> {
  try {
    return await whenBound(typeOfPassed(fd), (socket) => void socket.bind({ fd }));
  } catch (cause) {
    throw new KitError("listen-failed", {
      message: `STUN cannot use the socket that is passed as descriptor ${fd}.`,
      fix: "Pass a UDP socket: ListenDatagram= with an address or a port.",
      cause,
    });
  }
}

/** Binds a socket; `::` takes IPv4 as well. */
function bind(host: string, port: number): Promise<Socket> {
  return whenBound(isIPv6(host) ? "udp6" : "udp4", (socket) => void socket.bind(port, host));
}

async function whenBound(type: SocketType, bindTo: (socket: Socket) => void): Promise<Socket> {
  const socket = createSocket(type);
  try {
    const listening = once(socket, "listening");
    bindTo(socket);
    await listening;
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

function handleDatagram(
  socket: Socket,
  datagram: Buffer,
  source: RemoteInfo,
  options: StunServerOptions,
): void {
  const transactionId = decodeBindingRequest(datagram);
  if (transactionId === undefined) {
    options.counters.notStun += 1;
    return;
  }
  const own = options.isOwnProbe?.(source.address, source.port) ?? false;
  const counters = own ? uncounted : options.counters;
  if (!own && options.isSilent?.()) {
    counters.silenced += 1;
    return;
  }
  counters[isIPv4(normaliseIp(source.address) ?? "") ? "ipv4" : "ipv6"] += 1;
  // Anybody can write 0 into a datagram's source port, and Node throws when it has to send there.
  if (source.port === 0) {
    counters.writeError += 1;
    return;
  }
  const response = encodeBindingResponse(transactionId, source.address, source.port);
  socket.send(response, source.port, source.address, (error) => {
    counters[error instanceof Error ? "writeError" : "success"] += 1;
  });
}
