/** Who answers, and how it proves to be the node. */
import { daysLeft, isPinned } from "../../../relay/client/certificates.ts";
import { openTransport } from "../../../relay/client/transport.ts";
import { parseMetaCertificate } from "../../../relay/protocol/meta-certificate.ts";
import { protocolVersion } from "../../../relay/protocol/frame.ts";
import { CheckFailed, type Seen } from "../check.ts";
import type { Route } from "../probe-client.ts";

export interface TlsSeen extends Seen {
  readonly route: Route;
  readonly certificates: readonly Buffer[];
}

/** TLS 1.2 or later, and a certificate that a client accepts: the pinned one, or one with a chain to a trusted root. */
export async function checkTls(route: Route, signal: AbortSignal): Promise<TlsSeen> {
  await using transport = await openTransport({ ...route, signal });
  const { tlsVersion, certificates } = transport;
  const [leaf] = certificates;
  if (leaf === undefined) throw new CheckFailed("the server showed no certificate");
  const days = daysLeft(leaf, new Date());
  const { certName, hostName } = route.identity;
  const proof = isPinned(route.identity) ? "the pinned certificate" : `trusted for ${certName || hostName}`;
  return {
    detail: `${tlsVersion.replace("v", " ")}, ${proof}, ${days} days left`,
    route,
    certificates,
  };
}

/** The certificate at the end of the chain that tells the relay's key, so that clients save a round trip. */
export function checkMetaCertificate({ certificates }: TlsSeen): Seen {
  const found = certificates.map(parseMetaCertificate);
  const [meta, ...surplus] = found.filter((parsed) => parsed !== undefined);
  if (meta === undefined) throw new CheckFailed("none among the certificates that the server showed");
  if (surplus.length > 0) throw new CheckFailed(`${1 + surplus.length} of them, where one belongs`);
  if (found.at(-1) === undefined) throw new CheckFailed("it is not the last certificate");
  if (meta.version !== protocolVersion) throw new CheckFailed(`it is of protocol version ${meta.version}`);
  return { detail: `the last of ${certificates.length} certificates, protocol version ${meta.version}` };
}
