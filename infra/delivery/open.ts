/** Opens the delivery that a stack's configuration names. */
import type { KeyObject } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import type { CloudContext } from "../clouds/cloud.ts";
import { partitionOf } from "../clouds/places.ts";
import type { FleetConfig } from "../config/fleet.ts";
import { childPath } from "../config/path.ts";
import type { StackSecret } from "../config/secrets.ts";
import { type Delivery, operatorsDelivery, type Releases } from "./delivery.ts";
import { openReleaseBuilder } from "./release-builder.ts";
import { type RelayBundle, updaterBundle } from "./relay-bundle.ts";
import { parseSigningKey, requireTrusted, signingKeyVariable } from "./signing-key.ts";

export interface DeliveryContext extends Pick<CloudContext, "root" | "stack" | "now" | "offline" | "log"> {
  /** Whose configuration it is, for messages. */
  readonly where: string;
  /** What the last `up` published. */
  readonly releases: Releases;
  /** Secrets of the configuration, by their key. */
  readonly secretOf: (key: string) => pulumi.Output<string>;
}

/** What releases are signed with: key of the configuration, without namespace. */
export const signingKeyName = "signingKey" satisfies StackSecret;

/**
 * Opens a stack's delivery; undefined where no machine needs any.
 *
 * A preview does without the key that signs: it then cannot tell what releases change.
 *
 * @param written the private key in clear; undefined if there is none
 * @param relay what machines run
 * @throws KitError `config-invalid` if the key is missing, `signing-key-invalid`, `signing-key-untrusted`
 */
export async function openDelivery(
  config: FleetConfig,
  context: DeliveryContext,
  written: string | undefined,
  relay: () => Promise<RelayBundle>,
): Promise<Delivery | undefined> {
  const { delivery, awsProfiles } = config;
  if (delivery?.url !== undefined) return operatorsDelivery(delivery.url);
  const store = delivery?.s3;
  if (store === undefined) return undefined;
  const signingKey = context.offline ? undefined : findSigningKey(written, config, context);
  const builder = await openReleaseBuilder(config, {
    ...context,
    signingKey,
    relay: await relay(),
    updater: await updaterBundle(),
  });
  const { openS3Delivery } = await import("./s3.ts");
  const partition = partitionOf(store.location);
  const { accessKeyId: id, secret } = store;
  const key = id === undefined || secret === undefined ? undefined : { id, secret: context.secretOf(secret) };
  return openS3Delivery(
    { store, partition, profile: awsProfiles[partition], key, stack: context.stack },
    builder,
  );
}

function findSigningKey(
  written: string | undefined,
  { trustedKeys }: Pick<FleetConfig, "trustedKeys">,
  { where, stack, log }: Pick<DeliveryContext, "where" | "stack" | "log">,
): KeyObject | undefined {
  const path = childPath(undefined, signingKeyName);
  if (written === undefined && pulumi.runtime.isDryRun()) {
    log.warn(
      "there is no key that signs releases here, so that the preview does not tell whether they change",
    );
    return undefined;
  }
  if (written === undefined) {
    const message = `is missing, and releases are signed with it; run \`npm run keys -- init --stack ${stack}\`, or set ${signingKeyVariable}`;
    throw new KitError("config-invalid", { where, problems: [{ path, message }] });
  }
  const key = parseSigningKey(written, path);
  requireTrusted(key, trustedKeys, where);
  return key;
}
