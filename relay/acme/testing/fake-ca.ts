/**
 * A CA in this process that does as RFC 8555 says, as far as a client can see, and differently where a test wants it.
 * It validates nothing itself: `validate` says what it saw.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import type { TestContext } from "node:test";
import { buildCertificate, buildExtension, buildName, signatureAlgorithm } from "../../crypto/certificate.ts";
import * as der from "../../crypto/der.ts";
import { readSequence } from "../../crypto/der-reader.ts";
import { renderPem } from "../../crypto/pem.ts";
import { buildSubjectAltName } from "../../crypto/subject-alt-name.ts";
import { type Answer, hangUp, type Received, reply, startServer } from "../../outbound/testing/servers.ts";
import type { Jwk } from "../jws.ts";

/** What the client's clock and the CA's say. */
export const today = Date.parse("2026-06-01T12:00:00Z");
const dayMs = 86_400_000;

/** A request as the CA understood it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Received["headers"];
  /** The JWS's header and payload; empty for unsigned requests and POST-as-GET. */
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

interface FakeOrder {
  readonly number: number;
  readonly authorizations: readonly FakeAuthorization[];
  chain: string;
}

interface FakeAuthorization {
  readonly number: number;
  readonly identifier: { readonly type: string; readonly value: string };
  status: "pending" | "valid" | "invalid";
  /** What was wrong with which proof. */
  failed?: { readonly method: string; readonly error: object };
}

const issuer = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const issuerName = buildName(der.utf8String("Fake CA"));

export class FakeCa {
  readonly directory: URL;
  readonly asked: Asked[] = [];
  /** Changed by tests before they order. */
  meta: Record<string, unknown> = {};
  renewalInfo: object | undefined = {};
  methods: readonly string[] = ["dns-01", "http-01", "tls-alpn-01"];
  /** Looks at the proof. @returns a problem, or undefined if it is in order */
  validate: (identifier: string, method: string) => object | undefined = () => undefined;
  /** The certificate for a request's key and an order's names. */
  issue: (publicKey: Uint8Array, names: readonly string[]) => string = (publicKey, names) =>
    issueChain({ publicKey, names });
  /** Names that are proved from before. */
  readonly proved = new Set<string>();
  readonly #origin: string;
  readonly #instead = new Map<string, Answer[]>();
  readonly #lost: string[] = [];
  readonly #nonces = new Set<string>();
  #accounts = new Map<string, KeyObject>();
  readonly #orders: FakeOrder[] = [];
  readonly #authorizations: FakeAuthorization[] = [];

  constructor(origin: string) {
    this.#origin = origin;
    this.directory = new URL("/directory", origin);
  }

  /** How the next requests for a path are answered, one after the other, in the place of what is right. */
  instead(path: string, ...answers: readonly Answer[]): void {
    this.#instead.set(path, [...(this.#instead.get(path) ?? []), ...answers]);
  }

  /** Has the answer to the next request for a path get lost, after the CA did what it was asked. */
  lose(path: string): void {
    this.#lost.push(path);
  }

  /** Forgets every account. */
  forgetAccounts(): void {
    this.#accounts = new Map();
  }

  /** What was asked at a path. */
  at(path: string): Asked[] {
    return this.asked.filter((one) => one.path === path);
  }

  answer(response: Parameters<Answer>[0], request: Received): void {
    const jws = decodeJws(request.body);
    const { method, url: path, headers } = request;
    this.asked.push({ method, path, headers, header: jws?.header ?? {}, payload: jws?.payload ?? {} });
    const instead = this.#instead.get(path)?.shift();
    if (instead !== undefined) return instead(response, request);
    const right = method === "POST" ? this.#answerSigned(path, jws, request.body) : this.#answerPlain(path);
    const lost = this.#lost.indexOf(path);
    if (lost !== -1) {
      this.#lost.splice(lost, 1);
      return hangUp(response, request);
    }
    response.setHeader("Replay-Nonce", this.#freshNonce());
    return right(response, request);
  }

  #answerPlain(path: string): Answer {
    if (path === "/directory") return json(200, this.#describeDirectory());
    if (path === "/nonce") return reply(200);
    if (path.startsWith("/renewal/") && this.renewalInfo !== undefined) return json(200, this.renewalInfo);
    return problem(404, "malformed", "no such page");
  }

  #describeDirectory(): object {
    const at = (path: string): string => `${this.#origin}${path}`;
    return {
      newNonce: at("/nonce"),
      newAccount: at("/account"),
      newOrder: at("/order"),
      ...(this.renewalInfo === undefined ? {} : { renewalInfo: at("/renewal/") }),
      meta: this.meta,
    };
  }

  #answerSigned(path: string, jws: DecodedJws | undefined, body: string): Answer {
    if (jws === undefined) return problem(400, "malformed", "no JWS");
    const { jwk, kid, nonce, url } = jws.header;
    if (!this.#nonces.delete(String(nonce))) return problem(400, "badNonce", "unknown nonce");
    if (url !== `${this.#origin}${path}`) return problem(403, "unauthorized", "signed for another URL");
    const key =
      jwk === undefined
        ? this.#accounts.get(String(kid))
        : createPublicKey({ key: jwk as unknown as Record<string, string>, format: "jwk" });
    if (key === undefined) return problem(400, "accountDoesNotExist", "no such account");
    if (!isSignedBy(key, body)) return problem(400, "malformed", "bad signature");
    return path === "/account" ? this.#openAccount(key) : this.#answerKnown(path, jws.payload);
  }

  #openAccount(key: KeyObject): Answer {
    const known = [...this.#accounts].find(([, other]) => other.equals(key))?.[0];
    const url = known ?? `${this.#origin}/account/${randomBytes(4).toString("hex")}`;
    this.#accounts.set(url, key);
    return json(known === undefined ? 201 : 200, { status: "valid" }, { Location: url });
  }

  #answerKnown(path: string, payload: Readonly<Record<string, unknown>>): Answer {
    if (path === "/order") return this.#takeOrder(payload);
    const [, kind, number = "", method = ""] = path.split("/");
    const order = this.#orders[Number(number)];
    const authorization = this.#authorizations[Number(number)];
    if (kind === "order" && order) return json(200, this.#describeOrder(order));
    if (kind === "finalize" && order) return this.#finalize(order, String(payload["csr"]));
    if (kind === "certificate" && order) return reply(200, order.chain);
    if (kind === "authz" && authorization) return json(200, this.#describeAuthorization(authorization));
    if (kind === "challenge" && authorization) return this.#look(authorization, method);
    return problem(404, "malformed", "no such thing");
  }

  #takeOrder({ identifiers }: Readonly<Record<string, unknown>>): Answer {
    const authorizations = (identifiers as FakeAuthorization["identifier"][]).map((identifier, at) => ({
      number: this.#authorizations.length + at,
      identifier,
      status: this.proved.has(identifier.value) ? ("valid" as const) : ("pending" as const),
    }));
    const order: FakeOrder = { number: this.#orders.length, authorizations, chain: "" };
    this.#authorizations.push(...authorizations);
    this.#orders.push(order);
    return json(201, this.#describeOrder(order), { Location: `${this.#origin}/order/${order.number}` });
  }

  #look(authorization: FakeAuthorization, method: string): Answer {
    const error = this.validate(authorization.identifier.value, method);
    authorization.status = error === undefined ? "valid" : "invalid";
    if (error !== undefined) authorization.failed = { method, error };
    return json(200, { type: method, status: "processing" });
  }

  #finalize(order: FakeOrder, csr: string): Answer {
    const [body] = readSequence(Buffer.from(csr, "base64url")) ?? [];
    const [, , publicKey] = (body && readSequence(body.whole)) ?? [];
    if (publicKey === undefined) return problem(400, "badCSR", "unreadable");
    const names = order.authorizations.map(({ identifier }) => identifier.value);
    order.chain = this.issue(publicKey.whole, names);
    return json(200, { ...this.#describeOrder(order), status: "processing" });
  }

  #describeOrder(order: FakeOrder): object {
    const { number, authorizations, chain } = order;
    const states = authorizations.map((one) => one.status);
    const proved = states.every((state) => state === "valid") ? "ready" : "pending";
    return {
      status: chain !== "" ? "valid" : states.includes("invalid") ? "invalid" : proved,
      authorizations: authorizations.map((one) => `${this.#origin}/authz/${one.number}`),
      finalize: `${this.#origin}/finalize/${number}`,
      ...(chain === "" ? {} : { certificate: `${this.#origin}/certificate/${number}` }),
    };
  }

  #describeAuthorization({ number, identifier, status, failed }: FakeAuthorization): object {
    const challenges = this.methods.map((type) => ({
      type,
      url: `${this.#origin}/challenge/${number}/${type}`,
      token: `token-${number}`,
      status,
      ...(failed?.method === type ? { error: failed.error } : {}),
    }));
    return { identifier, status, challenges };
  }

  #freshNonce(): string {
    const nonce = randomBytes(8).toString("base64url");
    this.#nonces.add(nonce);
    return nonce;
  }
}

export async function startFakeCa(t: TestContext): Promise<FakeCa> {
  const server = await startServer(t, (response, request) => ca.answer(response, request));
  const ca = new FakeCa(server.url.origin);
  return ca;
}

/** Answers with JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return reply(status, JSON.stringify(body), { "Content-Type": "application/json", ...headers });
}

/** Answers with a problem document. */
export function problem(
  status: number,
  type: string,
  detail: string,
  headers: Record<string, string> = {},
): Answer {
  return json(status, problemDocument(type, detail), {
    "Content-Type": "application/problem+json",
    ...headers,
  });
}

export function problemDocument(type: string, detail: string, more: object = {}): object {
  return { type: `urn:ietf:params:acme:error:${type}`, detail, ...more };
}

export interface Issued {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly names: readonly string[];
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly serial?: Uint8Array;
}

/** Signs a leaf. @returns it and the CA's own certificate, in PEM */
export function issueChain({
  publicKey,
  names,
  notBefore = today - dayMs,
  notAfter = today + 90 * dayMs,
  serial = Buffer.of(0x87, 0x65),
}: Issued): string {
  const validity = { notBefore: new Date(notBefore), notAfter: new Date(notAfter) };
  const algorithm = signatureAlgorithm(issuer);
  const keyIdentifier = buildExtension(
    "2.5.29.35",
    false,
    der.sequence(der.implicit(0, Buffer.from("fake"))),
  );
  const body = der.sequence(
    der.explicit(0, der.unsignedInteger(Buffer.of(2))),
    der.unsignedInteger(serial),
    algorithm.identifier,
    issuerName,
    der.sequence(der.time(validity.notBefore), der.time(validity.notAfter)),
    der.sequence(),
    publicKey,
    der.explicit(3, der.sequence(buildSubjectAltName(names), keyIdentifier)),
  );
  const leaf = der.sequence(body, algorithm.identifier, der.bitString(sign("sha256", body, issuer)));
  const root = buildCertificate({
    ...validity,
    serial: Buffer.of(1),
    name: issuerName,
    extensions: [],
    signer: issuer,
  });
  return renderPem("CERTIFICATE", leaf) + renderPem("CERTIFICATE", root);
}

interface DecodedJws {
  readonly header: { readonly [name: string]: unknown; readonly jwk?: Jwk };
  readonly payload: Readonly<Record<string, unknown>>;
}

function decodeJws(body: string): DecodedJws | undefined {
  if (body === "") return undefined;
  const { protected: header, payload } = JSON.parse(body) as Record<string, string>;
  return { header: decode(header), payload: decode(payload) };
}

function decode(part = ""): Record<string, unknown> {
  const text = Buffer.from(part, "base64url").toString();
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function isSignedBy(key: KeyObject, body: string): boolean {
  const { protected: header, payload, signature = "" } = JSON.parse(body) as Record<string, string>;
  const signed = Buffer.from(`${header}.${payload}`);
  return verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
}
