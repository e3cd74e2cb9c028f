/** The probes: what clients ask of a relay, asked by the relay of its own listeners. */
import { once } from "node:events";
import { type AddressInfo, createServer, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { createSecureContext } from "node:tls";
import { findIdentityFault } from "../client/certificates.ts";
import { login } from "../client/connection.ts";
import { dial, type Endpoint, renderEndpoint } from "../client/dial.ts";
import { RelayFailure } from "../client/failure.ts";
import { askStun } from "../client/stun.ts";
import { closeStream, openTls, type Transport } from "../client/transport.ts";
import type { NodeKey } from "../crypto/keys.ts";
import { ownAddresses } from "./own-addresses.ts";
import type { OwnProbes } from "./own-probes.ts";

export interface Probe {
  /** What it does and over which family, for example `stun-ipv4`: in /healthz, metrics and the log. */
  readonly name: string;
  /**
   * Asks once.
   *
   * @throws Error that says what is wrong as a clause; also once the signal aborts
   */
  run(signal: AbortSignal): Promise<void>;
}

export interface ProbeTargets {
  readonly own: OwnProbes;
  /** Where the main listener is bound. */
  readonly https: Endpoint;
  readonly hostName: string;
  /**
   * DER of the certificate that is to be shown now at an address of the listener, undefined while there is none; undefined
   * itself if the listener does no TLS.
   */
  readonly leaf: ((localAddress: string) => Uint8Array | undefined) | undefined;
  /** Undefined if DERP is not served: then a connection alone is asked for. */
  readonly relayKey: NodeKey | undefined;
  /** Where STUN is bound; undefined if it is off. */
  readonly stun: Endpoint | undefined;
}

/** Makes the probes of a relay: one for each listener and each family that it can be asked over. */
export function createProbes(targets: ProbeTargets): Probe[] {
  const { https, stun, relayKey } = targets;
  const present = Object.values(networkInterfaces()).flatMap((list = []) =>
    list.map(({ address }) => address),
  );
  const places = ({ address, port }: Endpoint): Endpoint[] =>
    ownAddresses(address, present).map((own) => ({ address: own, port }));
  return [
    ...places(https).map((place) =>
      relayKey === undefined ? connectionProbe(targets, place) : loginProbe(targets, place, relayKey),
    ),
    ...(stun === undefined ? [] : places(stun).map((place) => stunProbe(targets, place))),
  ];
}

/** TLS if there is any, the upgrade, and a login whose ServerInfo comes first and from the right key. */
function loginProbe(targets: ProbeTargets, place: Endpoint, relayKey: NodeKey): Probe {
  const { hostName, own } = targets;
  return {
    name: `derp-login-${familyOf(place)}`,
    run: (signal) =>
      fromOwnPlace(targets, place, async (from) => {
        const transport = await openOwn(targets, place, from, signal);
        await using connection = await login(transport, {
          hostName,
          privateKey: own.privateKey,
          prober: true,
          signal,
        });
        const { serverKey, serverInfoFirst } = connection.facts;
        if (!serverKey.equals(relayKey))
          throw new RelayFailure("ServerKey holds another key than the relay's");
        if (!serverInfoFirst) throw new RelayFailure("another frame came between ServerKey and ServerInfo");
      }),
  };
}

function connectionProbe(targets: ProbeTargets, place: Endpoint): Probe {
  return {
    name: `${targets.leaf === undefined ? "tcp" : "tls"}-${familyOf(place)}`,
    run: (signal) =>
      fromOwnPlace(targets, place, async (from) => {
        const transport = await openOwn(targets, place, from, signal);
        await transport[Symbol.asyncDispose]();
      }),
  };
}

function stunProbe({ own }: ProbeTargets, place: Endpoint): Probe {
  return {
    name: `stun-${familyOf(place)}`,
    async run(signal) {
      const asked = await askStun(place, signal, (from) => own.expect("udp", from));
      own.forget("udp", asked.local);
      const [local, mapped] = [renderEndpoint(asked.local), renderEndpoint(asked.mapped)];
      if (local !== mapped) throw new RelayFailure(`STUN says ${mapped} to who asks from ${local}`);
    },
  };
}

/** Asks the main listener from a port that the relay knows as its own before it sees the connection. */
async function fromOwnPlace(
  { own }: ProbeTargets,
  { address }: Endpoint,
  ask: (from: Endpoint) => Promise<void>,
): Promise<void> {
  const from = { address, port: await findFreePort(address) };
  own.expect("tcp", from);
  await ask(from);
  own.forget("tcp", from);
}

/** Nothing is trusted but what `findOwnFault` finds right. */
const trust = createSecureContext({ minVersion: "TLSv1.2" });

function openOwn(
  { hostName, leaf }: ProbeTargets,
  endpoint: Endpoint,
  from: Endpoint,
  signal: AbortSignal,
): Promise<Transport> {
  if (leaf === undefined) return openPlain(endpoint, from, signal);
  return openTls({ endpoint, from, hostName, trust, signal }, (stream) => {
    const shown = stream.getPeerCertificate().raw;
    return { certificates: [shown], fault: findOwnFault(shown, leaf(endpoint.address), hostName) };
  });
}

async function openPlain(endpoint: Endpoint, from: Endpoint, signal: AbortSignal): Promise<Transport> {
  const stream = await dial(endpoint, signal, from);
  stream.on("error", () => {}); // A close follows, which is what users of the stream wait for.
  return { stream, tlsVersion: "", certificates: [], [Symbol.asyncDispose]: () => closeStream(stream) };
}

/**
 * Only the very certificate will do that the relay means to show; who has issued it does not matter here.
 *
 * @param shown the certificate in DER. Not by `getPeerX509Certificate`: of each call Node 24 keeps 3 KB for ever.
 */
function findOwnFault(shown: Buffer, leaf: Uint8Array | undefined, hostName: string): string | undefined {
  if (leaf === undefined || Buffer.compare(shown, leaf) !== 0)
    return "the certificate is not the one that the relay means to show";
  const identity = { hostName, certName: "" };
  return findIdentityFault({ certificates: [leaf], chainFault: undefined }, identity, new Date());
}

/**
 * A port that nobody uses, as the system sees it now. Left to itself, a socket tells its local port only once it is
 * connected, which may be after the listener has seen it.
 */
async function findFreePort(address: string): Promise<number> {
  // Whoever comes in this moment must not keep the server open.
  const server = createServer((stranger) => stranger.destroy()).listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function familyOf({ address }: Endpoint): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}
