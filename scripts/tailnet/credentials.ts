/** By what right the Tailscale API is asked: read from the environment. None of it is ever printed. */
import { KitError } from "../../relay/errors.ts";

type Env = Readonly<Record<string, string | undefined>>;

export type Credentials =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "client"; readonly clientId: string; readonly clientSecret: string }
  | { readonly kind: "token"; readonly clientId: string; readonly idToken: string }
  | { readonly kind: "actions"; readonly clientId: string; readonly source: IdTokenSource };

/** Where a job of GitHub Actions that may (`id-token: write`) gets an ID token for an audience. */
export interface IdTokenSource {
  readonly url: URL;
  readonly requestToken: string;
  readonly audience: string;
}

/**
 * Reads the credentials: an API key (`TS_API_KEY`), an OAuth client (`TS_OAUTH_CLIENT_ID`, `TS_OAUTH_CLIENT_SECRET`), or a
 * federated identity (`TS_OAUTH_CLIENT_ID` alone), whose ID token is `TS_ID_TOKEN` or comes from GitHub Actions, for the
 * audience `TS_AUDIENCE`. The first that is there counts.
 *
 * @throws KitError `tailnet-credentials`
 */
export function readCredentials(env: Env): Credentials {
  const key = readSecret(env, "TS_API_KEY");
  if (key !== undefined) return { kind: "key", key };
  const clientId = readSecret(env, "TS_OAUTH_CLIENT_ID");
  if (clientId === undefined) throw new KitError("tailnet-credentials", { fix: howToSet });
  const clientSecret = readSecret(env, "TS_OAUTH_CLIENT_SECRET");
  if (clientSecret !== undefined) return { kind: "client", clientId, clientSecret };
  const idToken = readSecret(env, "TS_ID_TOKEN");
  if (idToken !== undefined) return { kind: "token", clientId, idToken };
  const [url, requestToken] = [
    readSecret(env, "ACTIONS_ID_TOKEN_REQUEST_URL"),
    readSecret(env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
  ];
  if (url === undefined || requestToken === undefined || !URL.canParse(url)) {
    throw new KitError("tailnet-credentials", {
      message: "TS_OAUTH_CLIENT_ID has neither a secret (TS_OAUTH_CLIENT_SECRET) nor an ID token beside it.",
      fix: howToSet,
    });
  }
  // What the console shows as the audience of a federated identity, unless another was chosen.
  const audience = readSecret(env, "TS_AUDIENCE") ?? `api.tailscale.com/${clientId}`;
  return { kind: "actions", clientId, source: { url: new URL(url), requestToken, audience } };
}

const howToSet =
  "Set TS_API_KEY, or TS_OAUTH_CLIENT_ID and TS_OAUTH_CLIENT_SECRET of an OAuth client with the scope policy_file; in GitHub " +
  "Actions TS_OAUTH_CLIENT_ID of a federated identity alone, with the permission id-token: write.";

/** The words that must not be shown. */
export function secretsOf(credentials: Credentials): string[] {
  if (credentials.kind === "key") return [credentials.key];
  if (credentials.kind === "client") return [credentials.clientSecret];
  return credentials.kind === "token" ? [credentials.idToken] : [credentials.source.requestToken];
}

/** A word of visible ASCII, since it becomes part of a header; an empty variable is none. The value is not shown. */
function readSecret(env: Env, name: string): string | undefined {
  const value = (env[name] ?? "").trim();
  if (value === "") return undefined;
  if (/^[!-~]+$/.test(value)) return value;
  throw new KitError("tailnet-credentials", {
    where: name,
    message: "The variable does not hold one word of visible characters.",
  });
}
