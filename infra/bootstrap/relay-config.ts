/** The configuration file of a node's relay. Pure. */
import * as v from "valibot";
import { type RelayConfigInput, relayConfigSchema } from "../../relay/config/schema.ts";
import { currentFolder, type SecretChannel } from "../../relay/agent/places.ts";
import { allowListFile, drainingFile, rateConfigFile } from "../../relay/updater/manifest.ts";
import { credentialFile, credentialsOf, type SecretNames } from "./credentials.ts";

/** A relay's configuration file; names and addresses may become text later. */
export type RelayConfig<Text> = Omit<RelayConfigInput, "acmeIps" | "hostname" | "meshWith"> & {
  readonly acmeIps?: Text;
  readonly hostname: Text;
  readonly meshWith?: Text;
};

/** What of a relay's configuration depends on its node and region. */
export interface RelaySettings<Text> extends SecretNames {
  /** DNS name that clients connect to, or the node's address. */
  readonly hostName: Text;
  /** Where the relay listens on its machine, in derper's notation. */
  readonly listen: string;
  /** UDP. */
  readonly stunPort: number;
  readonly certificates: "acme" | "acme-ip" | "pinned" | "manual";
  /** The node's public addresses with commas between, for its machine may not know them. */
  readonly addresses: Text;
  /** True if the firewall lets TCP port 80 in. */
  readonly http: boolean;
  /** Where the machine's updater says how it does; undefined where there is none. */
  readonly updaterStatusFile?: string | undefined;
  readonly admission: {
    readonly verifyClientUrl?: string | undefined;
    /** Delivered as a file of the release. */
    readonly allow?: readonly string[] | undefined;
    readonly tailnetApi?: { readonly clientId: string; readonly secret: string } | undefined;
  };
  /** What each client may send, delivered as a file of the release; undefined for no limit. */
  readonly clientRate?: object | undefined;
  /** How its secrets reach its machine; undefined where they are there from the start. */
  readonly secretChannel?: SecretChannel | undefined;
  /** The mesh key's file where it is no credential. */
  readonly meshKeyFile?: string | undefined;
  /** The region's other relays, in the relay's notation; undefined if it is to know of none. */
  readonly meshWith?: Text | undefined;
}

/** Builds a relay's configuration: what equals the relay's default is left out, and keys are sorted. */
export function buildRelayConfig<Text>(settings: RelaySettings<Text>): RelayConfig<Text> {
  const { hostName, listen, stunPort, certificates, addresses, http, updaterStatusFile } = settings;
  const { admission, clientRate, meshKeyFile, meshWith, secretChannel } = settings;
  const credentials = credentialsOf(settings);
  const { verifyClientUrl, allow, tailnetApi } = admission;
  const defaults = v.getDefaults(relayConfigSchema);
  return sortMembers({
    ...(certificates === "acme-ip" ? { acmeIps: addresses } : {}),
    ...(tailnetApi === undefined ? {} : { admissionApiClientId: tailnetApi.clientId }),
    ...(allow === undefined ? {} : { admissionList: `${currentFolder}/${allowListFile}` }),
    // Only a relay that runs has a key that others can seal to.
    ...(credentials.length > 0 && secretChannel === "sealed" ? { awaitSecrets: true } : {}),
    certMode: certificates,
    // On a machine a relay that goes is mostly followed by its successor, and whoever comes meanwhile waits for both.
    ...(updaterStatusFile === undefined ? {} : { drain: "1s" }),
    ...(settings.statusToken === undefined || updaterStatusFile === undefined
      ? {}
      : { drainingFile: `${currentFolder}/${drainingFile}` }),
    hostname: hostName,
    // Firewalls open no port 80 unless asked to, and not every machine lets the relay bind it.
    ...(http ? {} : { httpPort: -1 }),
    ...(listen === defaults.listen ? {} : { listen }),
    ...(clientRate === undefined ? {} : { rateConfig: `${currentFolder}/${rateConfigFile}` }),
    ...(meshKeyFile === undefined ? {} : { meshPskFile: meshKeyFile }),
    ...(meshWith === undefined ? {} : { meshWith }),
    ...(stunPort === defaults.stunPort ? {} : { stunPort }),
    ...(updaterStatusFile === undefined ? {} : { updaterStatusFile }),
    ...(verifyClientUrl === undefined ? {} : { verifyClientUrl }),
    ...Object.fromEntries(credentials.map(({ kind }) => [kind.option, credentialFile(kind.name)])),
  });
}

function sortMembers<Members extends object>(members: Members): Members {
  return Object.fromEntries(Object.entries(members).toSorted(([a], [b]) => (a < b ? -1 : 1))) as Members;
}
