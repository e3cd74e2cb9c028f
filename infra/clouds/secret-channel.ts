/** How secrets reach the machines of a cloud. */
import type { SecretChannel } from "../../relay/agent/places.ts";
import type { CloudName } from "./places.ts";

/** Clouds whose machines have a role that may read a secret, and nobody else may. */
const withRoles: ReadonlySet<CloudName> = new Set(["aws"]);

export function secretChannelOf(cloud: CloudName): SecretChannel {
  return withRoles.has(cloud) ? "instance" : "sealed";
}
