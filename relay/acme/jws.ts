/** Signed requests as ACME wants them (RFC 8555, section 6.2): flattened JWS (RFC 7515) with an EC P-256 key. */
import { createHash, createHmac, createPublicKey, type KeyObject, sign } from "node:crypto";

/** The public half of an EC P-256 key (RFC 7518, 6.2.1). */
export interface Jwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

export interface FlattenedJws {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

/** What a signature covers besides the payload. */
export interface JwsHeader {
  /** Who signs: the key itself while there is no account, the account's URL from then on. */
  readonly by: { readonly jwk: Jwk } | { readonly kid: string };
  readonly nonce: string;
  /** Where the request goes. */
  readonly url: string;
}

/** An account elsewhere that an ACME account is bound to (RFC 8555, 7.3.4), as the CA gave it. */
export interface ExternalAccount {
  readonly kid: string;
  /** The MAC key, decoded. */
  readonly key: Uint8Array;
}

/**
 * The members of a key in the order that its thumbprint needs.
 *
 * @throws TypeError if the key is not EC P-256
 */
export function publicJwk(key: KeyObject): Jwk {
  if (key.asymmetricKeyType !== "ec") throw new TypeError("an ACME account's key is an EC P-256 one");
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const { crv, kty, x, y } = publicKey.export({ format: "jwk" }) as Record<string, string>;
  if (crv !== "P-256" || kty === undefined || x === undefined || y === undefined) {
    throw new TypeError("an ACME account's key is an EC P-256 one");
  }
  return { crv, kty, x, y };
}

/** The SHA-256 thumbprint in base64url: of the required members alone, in alphabetical order (RFC 7638, section 3). */
export function thumbprint({ crv, kty, x, y }: Jwk): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

/** Signs a request with ES256. @param payload an object, or undefined for POST-as-GET (RFC 8555, 6.3) */
export function signJws(key: KeyObject, { by, nonce, url }: JwsHeader, payload?: object): FlattenedJws {
  return assemble({ alg: "ES256", ...by, nonce, url }, payload, (input) =>
    // r and s next to each other (RFC 7518, 3.4), not in DER as certificates have them.
    sign("sha256", input, { key, dsaEncoding: "ieee-p1363" }),
  );
}

/** Proves to the CA that the account's owner is also that of an external one: HS256 over the account's key. */
export function bindExternalAccount({ kid, key }: ExternalAccount, jwk: Jwk, url: string): FlattenedJws {
  return assemble({ alg: "HS256", kid, url }, jwk, (input) =>
    createHmac("sha256", key).update(input).digest(),
  );
}

function assemble(
  header: object,
  payload: object | undefined,
  signBytes: (input: Buffer) => Buffer,
): FlattenedJws {
  const parts = {
    protected: encode(JSON.stringify(header)),
    payload: payload === undefined ? "" : encode(JSON.stringify(payload)),
  };
  const signature = signBytes(Buffer.from(`${parts.protected}.${parts.payload}`, "ascii"));
  return { ...parts, signature: signature.toString("base64url") };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}
