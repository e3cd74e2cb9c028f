/**
 * An ACME client (RFC 8555) with addresses (RFC 8738), renewal information (RFC 9773) and profiles
 * (draft-ietf-acme-profiles). It keeps nothing but what it learned of its CA: keys, certificates and times are the caller's.
 */
import { encodeIp } from "../ip-address.ts";
import { KitError } from "../errors.ts";
import { TimeLimit } from "../outbound/failure.ts";
import { withDeadline } from "../outbound/http.ts";
import { AcmeFailure } from "./failure.ts";
import { bindExternalAccount, type ExternalAccount, publicJwk, thumbprint } from "./jws.ts";
import { type Directory, directorySchema, renewalInfoSchema } from "./messages.ts";
import { Messenger, type MessengerOptions } from "./messenger.ts";
import { placeOrder } from "./order.ts";
import type { OrderRequest } from "./order-context.ts";
import { cleanText } from "./problem.ts";
import type { Task } from "./task.ts";

export type { ChallengeMethod } from "./challenge.ts";
export type { OfferedChallenge, OrderRequest } from "./order-context.ts";

export interface AcmeClientOptions extends MessengerOptions {
  /** Contact of the account; empty for none. It counts when the account is made. */
  readonly email: string;
  readonly eab?: ExternalAccount | undefined;
  /** For a whole order; default three minutes. */
  readonly orderLimitMs?: number;
}

export interface IssuedCertificate {
  /** PEM: the leaf first. */
  readonly chain: string;
}

/** When the CA would like a certificate to be renewed. */
export interface RenewalInfo {
  readonly start: Date;
  /** After `start`; both may be past. */
  readonly end: Date;
  /** When to ask again, in milliseconds: between a minute and a day, six hours if the CA does not say. */
  readonly retryAfterMs: number;
  /** A page for people. */
  readonly explanationUrl?: string;
}

export interface AcmeClient {
  /**
   * Gets a certificate. Nothing is tried again that counts against the CA's limits.
   *
   * @throws AcmeFailure, the signal's reason when that is aborted, or what `request.answer` throws
   */
  order(request: OrderRequest, signal: AbortSignal): Promise<IssuedCertificate>;
  /**
   * Asks when a certificate should be renewed. @param certificateId from `certificateId`
   *
   * @returns undefined if the CA does not tell, or does not know the certificate
   * @throws AcmeFailure, or the signal's reason when that is aborted
   */
  renewalInfo(certificateId: string, signal: AbortSignal): Promise<RenewalInfo | undefined>;
}

const orderLimitMs = 180_000;
const informationLimitMs = 60_000;
/** What CAs answer about a certificate of another's: Let's Encrypt 404, Pebble 400. */
const foreign = [400, 404];
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/**
 * @throws TypeError if the account's key is not EC P-256
 * @throws KitError `config-invalid` if the directory is neither https nor on a loopback or private address
 */
export function createAcmeClient(options: AcmeClientOptions): AcmeClient {
  const { directory, accountKey, sleep, now } = options;
  checkDirectory(directory);
  const jwk = publicJwk(accountKey);
  const messenger = new Messenger(options);
  const accountThumbprint = thumbprint(jwk);
  let account: string | undefined;

  return {
    async order(request, signal) {
      const limitMs = options.orderLimitMs ?? orderLimitMs;
      return limited(limitMs, signal, request, async (limit) => ({ chain: await order(request, limit) }));
    },
    async renewalInfo(certificateId, signal) {
      return limited(informationLimitMs, signal, undefined, async (limit) =>
        askRenewal(certificateId, limit),
      );
    },
  };

  async function order(request: OrderRequest, signal: AbortSignal): Promise<string> {
    const found = await readDirectory(signal);
    checkProfile(found, request.profile);
    account ??= await openAccount(found, signal, request.step);
    const shared = { messenger, directory: found, thumbprint: accountThumbprint, request, sleep, signal };
    try {
      return await placeOrder({ ...shared, account }, now);
    } catch (error) {
      if (!(error instanceof AcmeFailure) || error.problemType !== "accountDoesNotExist") throw error;
      account = undefined;
      request.step?.("the CA does not know the account any more and gets it anew");
      account = await openAccount(found, signal, request.step);
      return placeOrder({ ...shared, account }, now);
    }
  }

  /** Each time anew: a client lives for months, and its CA may move things. */
  async function readDirectory(signal: AbortSignal): Promise<Directory> {
    const task: Task = { text: "did not give its directory", phase: "information" };
    const found = messenger.read(await messenger.get(directory.href, task, signal), directorySchema, task);
    messenger.newNonce = found.newNonce;
    const [caaIdentity] = found.meta.caaIdentities ?? [];
    messenger.authority = { host: directory.host, caaIdentity: caaIdentity && cleanText(caaIdentity) };
    return found;
  }

  function checkProfile({ meta }: Directory, profile: string | undefined): void {
    if (profile === undefined) return;
    const offered = Object.keys(meta.profiles ?? {});
    if (offered.includes(profile)) return;
    const has = offered.length === 0 ? "it has no profiles" : `it offers ${cleanText(offered.join(", "))}`;
    const task: Task = { text: `has no profile ${cleanText(profile)}`, phase: "order" };
    throw messenger.fail("profile", has, task);
  }

  /** Gets the account's URL, and makes the account if there is none for the key (RFC 8555, 7.3). */
  async function openAccount(
    { newAccount, meta }: Directory,
    signal: AbortSignal,
    step?: (text: string) => void,
  ): Promise<string> {
    const { email, eab } = options;
    const task: Task = { text: "did not open the account", phase: "account" };
    const terms = meta.termsOfService === undefined ? "" : `, agreeing to ${cleanText(meta.termsOfService)}`;
    step?.(`opens the account at ${directory.host}${terms}`);
    const payload = {
      termsOfServiceAgreed: true,
      ...(email === "" ? {} : { contact: [`mailto:${email}`] }),
      ...(eab === undefined ? {} : { externalAccountBinding: bindExternalAccount(eab, jwk, newAccount) }),
    };
    const reply = await messenger.post(
      { url: newAccount, task, repeatable: true, by: { jwk }, payload },
      signal,
    );
    return messenger.location(reply, task);
  }

  async function askRenewal(certificateId: string, signal: AbortSignal): Promise<RenewalInfo | undefined> {
    const { renewalInfo } = await readDirectory(signal);
    if (renewalInfo === undefined) return undefined;
    const task: Task = { text: "does not tell when to renew", phase: "information" };
    const url = `${renewalInfo.replace(/\/$/, "")}/${certificateId}`;
    const reply = await messenger.get(url, task, signal, foreign);
    if (foreign.includes(reply.status)) return undefined;
    const { suggestedWindow, explanationURL } = messenger.read(reply, renewalInfoSchema, task);
    return {
      ...suggestedWindow,
      retryAfterMs: Math.min(Math.max(messenger.retryAfter(reply) ?? 6 * hourMs, minuteMs), 24 * hourMs),
      ...(explanationURL === undefined ? {} : { explanationUrl: cleanText(explanationURL) }),
    };
  }

  async function limited<T>(
    ms: number,
    signal: AbortSignal,
    request: OrderRequest | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await withDeadline(ms, signal, run);
    } catch (error) {
      if (!(error instanceof TimeLimit)) throw error;
      const names = request?.identifiers.map(({ value }) => value).join(", ");
      const text =
        names === undefined ? "does not tell when to renew" : `did not issue a certificate for ${names}`;
      throw messenger.fail("timeout", `it was not done within ${ms / 1_000} s`, { text, phase: "order" });
    }
  }
}

/**
 * Without TLS anybody on the way could hand out certificates, so the way has to be short.
 *
 * @throws KitError `config-invalid`
 */
export function checkDirectory({ protocol, hostname, href }: URL): void {
  if (protocol === "https:") return;
  const address = encodeIp(hostname.replace(/^\[(.*)\]$/, "$1"));
  if (protocol === "http:" && (hostname === "localhost" || (address !== undefined && isPrivate(address))))
    return;
  throw new KitError("config-invalid", {
    where: "--acme-directory",
    message: `${href} is neither https nor on this machine or its own network.`,
    fix: "Give the directory's https URL; for a CA of your own, its root certificate goes to --acme-ca.",
  });
}

/** Loopback, RFC 1918, and unique local addresses (RFC 4193). */
function isPrivate(address: Uint8Array): boolean {
  const [a = 0, b = 0] = address;
  if (address.length === 16)
    return (a & 0xfe) === 0xfc || address.every((byte, at) => byte === (at === 15 ? 1 : 0));
  return a === 127 || a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168);
}
