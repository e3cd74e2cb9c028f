/** Logging in to DERP, with the round trip that fast start saves and without it. */
import { findMetaCertificate } from "../../../relay/client/certificates.ts";
import { LoginRefused } from "../../../relay/client/failure.ts";
import type { LoginFacts } from "../../../relay/client/session.ts";
import { type NodeKey, renderShortKey } from "../../../relay/crypto/keys.ts";
import { CannotTest, CheckFailed, type Seen } from "../check.ts";
import { clientsOver, type Route } from "../probe-client.ts";
import type { TlsSeen } from "./tls.ts";

export interface LoginSeen extends Seen {
  readonly route: Route;
  readonly facts: LoginFacts;
  readonly certificates: readonly Buffer[];
}

/** 101, ServerKey, and ServerInfo as the first frame after it: clients' health logic and probers rely on that. */
export async function checkLogin(
  { route }: TlsSeen,
  isClosed: boolean,
  signal: AbortSignal,
): Promise<LoginSeen> {
  await using client = await clientsOver(route)({ signal }).catch(excuseRefusal(isClosed));
  const { facts, transport } = client.connection;
  requireServerInfoFirst(facts);
  return {
    detail: `ServerKey, then ServerInfo of version ${facts.serverInfo.version}`,
    route,
    facts,
    certificates: transport.certificates,
  };
}

/** A relay that lets in only those it knows does not let us in, and what is behind the door cannot be seen from here. */
function excuseRefusal(isClosed: boolean): (reason: unknown) => never {
  return (reason) => {
    if (!isClosed || !(reason instanceof LoginRefused)) throw reason;
    const key = renderShortKey(reason.serverKey);
    throw new CannotTest(`the relay told its key ${key} and lets in no strangers, as it is meant to`);
  };
}

/** ClientInfo in one piece with the request, sealed to the meta certificate's key, and no HTTP answer. */
export async function checkFastStart(
  { route }: TlsSeen,
  isClosed: boolean,
  signal: AbortSignal,
): Promise<Seen> {
  await using client = await clientsOver(route)({ signal, fastStart: true }).catch(excuseRefusal(isClosed));
  requireServerInfoFirst(client.connection.facts);
  return { detail: "logged in with the request, without a 101" };
}

/**
 * One relay has one key: in the 101 answer, in ServerKey and in the meta certificate of each connection, over each
 * family. Different keys show a load balancer, behind which clients cannot reach each other.
 *
 * @param first a key that ServerKey told
 */
export function checkServerKey(first: NodeKey, logins: readonly LoginSeen[]): Seen {
  const told = logins.flatMap(({ facts, certificates }) => [
    { place: "ServerKey", key: facts.serverKey },
    { place: "the 101 answer", key: facts.headerKey },
    { place: "the meta certificate", key: findMetaCertificate(certificates)?.relayKey },
  ]);
  for (const { place, key } of told) {
    if (key === undefined) throw new CheckFailed(`${place} has no key`);
    if (!key.equals(first)) {
      const [other, known] = [renderShortKey(key), renderShortKey(first)];
      throw new CheckFailed(`${place} has another key, ${other}, than the first ServerKey, ${known}`);
    }
  }
  return { detail: `the same key ${renderShortKey(first)} in ${told.length} places` };
}

function requireServerInfoFirst({ serverInfoFirst }: LoginFacts): void {
  if (!serverInfoFirst) throw new CheckFailed("another frame came between ServerKey and ServerInfo");
}
