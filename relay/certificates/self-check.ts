/**
 * Asks this machine by name what a certificate authority will ask it: who fails this would most likely fail there too, and
 * failures there are counted. It is advice: a host behind NAT may not reach itself by the address that others know.
 */
import { randomBytes, X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import http from "node:http";
import * as tls from "node:tls";
import { type ChallengeMethod, challengeServername, createChallengeCertificate } from "../acme/challenge.ts";
import type { Identifier } from "../acme/identifier.ts";
import { describeFailure } from "../outbound/failure.ts";
import { sendRequest, withDeadline } from "../outbound/http.ts";
import type { Challenges } from "./challenges.ts";

export interface SelfCheckOptions {
  /** Where the answers are put that are then asked for. */
  readonly challenges: Challenges;
  /** The ports to ask at. One that answers is enough: a router may turn one into the other. */
  readonly ports: Readonly<Record<ChallengeMethod, readonly number[]>>;
  /** Finds the addresses of a name. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
  readonly signal: AbortSignal;
}

/** What an authority would see. */
export interface SelfCheck {
  /** The methods by which this machine was found, in the order that they were given. */
  readonly reached: readonly ChallengeMethod[];
  /** Why not by the first of them, as a clause; undefined if it was. */
  readonly fault: string | undefined;
}

/** For one question to one port. */
const limitMs = 5_000;

/** Asks by each method. It never rejects. */
export async function checkSelf(
  identifier: Identifier,
  methods: readonly ChallengeMethod[],
  options: SelfCheckOptions,
): Promise<SelfCheck> {
  const found = await findAddresses(identifier, options.resolve);
  if ("fault" in found) return { reached: [], fault: found.fault };
  using exam = prepareExam(identifier, options.challenges);
  const faults = await Promise.all(
    methods.map((method) => findFault(exam, method, found.addresses, options)),
  );
  return { reached: methods.filter((_, index) => faults[index] === undefined), fault: faults[0] };
}

/** Finds the addresses of a name by the system's resolver, as any program here would. */
export async function resolveName(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => address);
}

async function findAddresses(
  { type, value }: Identifier,
  resolve: SelfCheckOptions["resolve"],
): Promise<{ readonly addresses: readonly string[] } | { readonly fault: string }> {
  if (type === "ip") return { addresses: [value] };
  const fault = `DNS has no address for ${value}: make A and AAAA records that point at this machine`;
  try {
    const addresses = await resolve(value);
    return addresses.length > 0 ? { addresses } : { fault };
  } catch (error) {
    return { fault: `${fault} (${describeFailure(error)})` };
  }
}

/** What is asked, and the answers that nobody else can give. */
interface Exam extends Disposable {
  readonly identifier: Identifier;
  readonly servername: string;
  readonly certificate: Buffer;
  readonly token: string;
  readonly answer: string;
}

function prepareExam(identifier: Identifier, challenges: Challenges): Exam {
  const [token, answer] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
  const servername = challengeServername(identifier);
  const pair = createChallengeCertificate({ identifier, keyAuthorization: answer, now: new Date() });
  const offers = new DisposableStack();
  offers.use(challenges.offerTls(servername, pair));
  offers.use(challenges.offerHttp(token, answer));
  const certificate = new X509Certificate(pair.chain).raw;
  return { identifier, servername, certificate, token, answer, [Symbol.dispose]: () => offers.dispose() };
}

/** Who answers at an address: this relay, somebody else, or nobody, and why not. */
type Answerer = "us" | "somebody else" | { readonly why: string };

/** As each authority chooses among the addresses in its own way, none of them may be somebody else's. */
async function findFault(
  exam: Exam,
  method: ChallengeMethod,
  addresses: readonly string[],
  { ports: { [method]: ports }, signal }: SelfCheckOptions,
): Promise<string | undefined> {
  const ask = method === "tls-alpn-01" ? askTls : askHttp;
  const answerers = await Promise.all(
    addresses.map((address) => findAnswerer(ports, (port) => ask(exam, address, port, signal))),
  );
  const place = (index: number): string => `${addresses[index]} port ${ports.join(" or ")}`;
  const other = answerers.indexOf("somebody else");
  if (other !== -1) {
    const mend = `check where ${exam.identifier.value} points, and what stands in front of this machine`;
    return `somebody else answers at ${place(other)}: ${mend}`;
  }
  if (answerers.includes("us")) return undefined;
  const [first] = answerers;
  const why = typeof first === "object" ? first.why : "";
  return `nothing answers at ${place(0)} (${why}): open it to everybody`;
}

async function findAnswerer(
  ports: readonly number[],
  ask: (port: number) => Promise<boolean>,
): Promise<Answerer> {
  const answerers = await Promise.all(
    ports.map(async (port): Promise<Answerer> => {
      try {
        return (await ask(port)) ? "us" : "somebody else";
      } catch (error) {
        return { why: describeFailure(error) };
      }
    }),
  );
  for (const who of ["us", "somebody else"] as const) if (answerers.includes(who)) return who;
  return answerers[0] ?? { why: "no port" };
}

/** Asks as RFC 8737 has it. @returns whether it is this relay that answers. @throws if nobody does */
async function askTls(
  { servername, certificate }: Exam,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<boolean> {
  return withDeadline(limitMs, signal, async (limit) => {
    const socket = tls.connect({
      host,
      port,
      servername,
      ALPNProtocols: ["acme-tls/1"],
      rejectUnauthorized: false, // It has to be this very certificate.
    });
    let connected = false;
    socket.once("connect", () => (connected = true));
    try {
      await once(socket, "secureConnect", { signal: limit });
      return certificate.equals(socket.getPeerCertificate().raw);
    } catch (error) {
      if (connected && !limit.aborted) return false; // Somebody who does not know what is asked.
      throw error;
    } finally {
      socket.on("error", () => {}).destroy();
    }
  });
}

/** Asks as RFC 8555, section 8.3, has it. */
async function askHttp(
  { identifier: { type, value }, token, answer }: Exam,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<boolean> {
  const host = address.includes(":") ? `[${address}]` : address;
  const url = new URL(`http://${host}:${port}/.well-known/acme-challenge/${token}`);
  const headers = type === "dns" ? { Host: value } : {};
  const agent = new http.Agent();
  const reply = await withDeadline(limitMs, signal, (limit) =>
    sendRequest({ url, method: "GET", headers, agent, maxBytes: 1_024, signal: limit }),
  );
  return String(reply.body) === answer;
}
