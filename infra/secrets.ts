/** The secrets that a region's relays are given, from the stack's configuration. */
import * as pulumi from "@pulumi/pulumi";
import { KitError, renderError } from "../relay/errors.ts";
import { credentialsOf, findSecretFault, type SecretNames } from "./bootstrap/credentials.ts";

/**
 * Looks the secrets of a region up, by credential.
 *
 * @param secretOf a secret of the stack's configuration, by its key
 * @returns values that fail, without showing themselves, where the relay could not do with them
 */
export function secretsOf(
  region: SecretNames,
  secretOf: (key: string) => pulumi.Output<string>,
): ReadonlyMap<string, pulumi.Output<string>> {
  return new Map(
    credentialsOf(region).map(({ kind, key }) => {
      const checked = secretOf(key).apply((value) => {
        const message = findSecretFault(kind, value);
        if (message === undefined) return value;
        const problems = [{ path: `derpkit:${key}`, message }];
        throw new pulumi.RunError(renderError(new KitError("config-invalid", { problems })));
      });
      return [kind.name, checked];
    }),
  );
}
