/** One attempt to get a certificate: an order by each way of proof in turn, until one succeeds. */
import { generateKeyPairSync } from "node:crypto";
import type { AcmeClient, ChallengeMethod, OfferedChallenge } from "../acme/client.ts";
import { challengeServername, createChallengeCertificate } from "../acme/challenge.ts";
import { AcmeFailure, type AcmeFailureKind } from "../acme/failure.ts";
import type { Identifier } from "../acme/identifier.ts";
import type { CertificatePair } from "../config/certificate-files.ts";
import { buildCertificateRequest } from "../crypto/certificate-request.ts";
import type { Challenges } from "./challenges.ts";

export interface Attempt {
  readonly client: AcmeClient;
  /** The first has to be in the certificate; the others are left out if they cannot be proven. */
  readonly identifiers: readonly [Identifier, ...Identifier[]];
  readonly profile: string | undefined;
  /** The id of the certificate that is replaced (RFC 9773). */
  readonly replaces: string | undefined;
  /** In the order in which they are tried. */
  readonly methods: readonly ChallengeMethod[];
  readonly challenges: Challenges;
  /** Called before each order. It rejects if none may be made. */
  readonly begin: () => Promise<void>;
  /** Called before an order is finalized: from then on there may be a certificate. */
  readonly finalizing: () => Promise<void>;
  /** Told what happens. */
  readonly step: (text: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Failures of one way of proof that say nothing of another. */
const ofTheWay: ReadonlySet<AcmeFailureKind> = new Set(["connection", "tls", "unauthorized", "method"]);
/** Failures that an address may have while another has none. */
const ofTheName: ReadonlySet<AcmeFailureKind> = new Set([...ofTheWay, "dns", "caa", "refused"]);

/**
 * Orders. The key is new each time.
 *
 * @throws AcmeFailure, what `begin` and `finalizing` throw, or the signal's reason
 */
export async function getCertificate(attempt: Attempt): Promise<CertificatePair> {
  const { methods, step } = attempt;
  const [method, ...otherMethods] = methods;
  const [first, ...others] = attempt.identifiers;
  try {
    return await placeOrder(attempt, method);
  } catch (error) {
    if (!(error instanceof AcmeFailure)) throw error;
    const { identifier, kind } = error;
    const rest = others.filter(({ value }) => value !== identifier?.value);
    if (rest.length < others.length && ofTheName.has(kind)) {
      step(`${error.message} The certificate will be without it.`);
      return getCertificate({ ...attempt, identifiers: [first, ...rest] });
    }
    if (otherMethods.length === 0 || !ofTheWay.has(kind)) throw error;
    step(`${error.message} Trying ${otherMethods[0]} now.`);
    return getCertificate({ ...attempt, methods: otherMethods });
  }
}

async function placeOrder(
  { client, challenges, identifiers, begin, finalizing, now, signal, step, ...order }: Attempt,
  method: ChallengeMethod | undefined,
): Promise<CertificatePair> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const names = identifiers.map(({ value }) => value);
  await begin();
  const { chain } = await client.order(
    {
      identifiers,
      profile: order.profile,
      replaces: order.replaces,
      methods: method === undefined ? [] : [method],
      csr: buildCertificateRequest({ names, privateKey }),
      answer: (challenge) => offerAnswer(challenge, challenges, new Date(now())),
      finalizing,
      step,
    },
    signal,
  );
  return { chain, key: privateKey.export({ type: "sec1", format: "pem" }).toString() };
}

function offerAnswer(challenge: OfferedChallenge, challenges: Challenges, now: Date): Disposable {
  const { identifier, method, token, keyAuthorization } = challenge;
  if (method === "http-01") return challenges.offerHttp(token, keyAuthorization);
  const pair = createChallengeCertificate({ identifier, keyAuthorization, now });
  return challenges.offerTls(challengeServername(identifier), pair);
}
