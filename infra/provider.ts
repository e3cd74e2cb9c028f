/** What the program asks of the providers of clouds and DNS before it declares anything. */
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../relay/errors.ts";

export interface TokenPlace {
  /** Whose it is, for people. */
  readonly owner: string;
  /** The provider's namespace and key in a stack's configuration. */
  readonly namespace: string;
  readonly key: string;
  /** The environment's variable. */
  readonly variable: string;
  /** What the token has to be good for. */
  readonly needs: string;
}

/**
 * Makes sure that a provider will find its token, which is not looked at.
 *
 * @throws KitError `cloud-credentials` that names both places
 */
export function requireToken({ owner, namespace, key, variable, needs }: TokenPlace): void {
  const token = new pulumi.Config(namespace).get(key) ?? process.env[variable];
  if (token !== undefined && token !== "") return;
  throw new KitError("cloud-credentials", {
    message: `There is no token for ${owner}.`,
    fix: `Set ${variable}, or run \`pulumi config set --secret ${namespace}:${key}\`; the token needs ${needs}.`,
  });
}

/** What a provider said when it was asked something, in one line. */
export function describeRefusal(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^Error: |^invocation of \S+ returned an error: /, "").split("\n", 1)[0] ?? "";
}
