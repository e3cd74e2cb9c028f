/** The secrets that a relay is given as systemd credentials: files that only its process sees, and that are never on a disk. Pure. */

import { relayUnit } from "../../relay/agent/places.ts";

/** Secret of the OAuth client by which the relay reads the tailnet's devices. */
export const tailnetApiCredential = "tailnet-api";

/** Names of the credentials that a region's relays are given. */
export function credentialNames(admission: { readonly tailnetApi?: unknown }): readonly string[] {
  return admission.tailnetApi === undefined ? [] : [tailnetApiCredential];
}

/** The path of a credential, as the relay sees it. */
export function credentialFile(name: string): string {
  return `/run/credentials/${relayUnit}/${name}`;
}
