/** The configuration file of a node's relay. Pure. */
import * as v from "valibot";
import { type RelayConfigInput, relayConfigSchema } from "../../relay/config/schema.ts";

/** What of a relay's configuration depends on its node. */
export interface RelaySettings {
  readonly hostName: string;
  /** Where the relay listens on its machine, in derper's notation. */
  readonly listen: string;
  /** UDP. */
  readonly stunPort: number;
}

/** Builds a relay's configuration: what equals the relay's default is left out, and keys are sorted. */
export function buildRelayConfig({ hostName, listen, stunPort }: RelaySettings): RelayConfigInput {
  const defaults = v.getDefaults(relayConfigSchema);
  return {
    certMode: "pinned",
    hostname: hostName,
    // Firewalls open no port 80, and not every machine lets the relay bind it.
    httpPort: -1,
    ...(listen === defaults.listen ? {} : { listen }),
    ...(stunPort === defaults.stunPort ? {} : { stunPort }),
  };
}
