/** What a person has to know or do, in words. Pure. */
import { credentialsOf } from "./bootstrap/credentials.ts";
import type { FleetNode } from "./clouds/cloud.ts";
import { secretChannelOf } from "./clouds/secret-channel.ts";
import type { FleetConfig } from "./config/fleet.ts";
import { pendingPin } from "./derpmap/build.ts";
import { tailscaleRegionCodes } from "./derpmap/tailscale-regions.ts";

/** Lists what to do now, one sentence each, in the order in which it is to be done. */
export function describeNext(
  { regions, dns, delivery }: Pick<FleetConfig, "regions" | "dns" | "delivery">,
  nodes: readonly Pick<FleetNode, "name" | "certName">[],
  records: readonly unknown[],
): string[] {
  const pending = nodes.filter(({ certName }) => certName === pendingPin);
  const local = regions.filter(({ cloud }) => cloud === "local");
  const retired = regions.filter(({ state }) => state === "retired");
  const skipped = regions.filter(({ skipGate }) => skipGate !== undefined);
  const canaries = regions.filter(({ state }) => state === "canary");
  const draining = regions.filter(({ state }) => state === "draining");
  return [
    ...(dns.provider === "none" && records.length > 0
      ? [
          `Make the ${records.length} DNS records that dnsRecords lists: the relays wait for them to get their certificates.`,
        ]
      : []),
    ...(delivery?.url === undefined
      ? []
      : [
          `Put what \`npm run bundle\` lays out at ${delivery.url}: the machines fetch their relay from there.`,
        ]),
    ...(pending.length > 0
      ? [
          `Look at the certificates of ${pending.map(({ name }) => name).join(", ")} and write their pins (pin: sha256-raw:...) to the stack file; until then ` +
            "their regions are not in the derpMap.",
        ]
      : []),
    ...(local.length === regions.length
      ? ["Run `npm start` to start the relays on this machine."]
      : [
          "Run `npm run verify` against derpMap before anybody depends on it, then put derpMap into the tailnet policy.",
        ]),
    ...skipped.map(
      ({ code, skipGate }) =>
        `Mend ${code} (${skipGate?.reason}) and remove its skipGate by ${skipGate?.until}; until then it is not in the derpMap.`,
    ),
    ...(canaries.length > 0
      ? [`Try ${canaries.map(({ code }) => code).join(", ")}, and set state: serving when it is good.`]
      : []),
    ...(draining.length > 0
      ? [
          `Put this derpMap into the tailnet policy, and run \`npm run retire\` for ${draining.map(({ code }) => code).join(", ")}: it waits ` +
            "until nobody is at home there.",
        ]
      : []),
    ...(retired.length > 0
      ? [
          `Once the policy without ${retired.map(({ code }) => code).join(", ")} has reached the clients, remove it from the stack ` +
            "file (`npm run retire`) and run `pulumi up`.",
        ]
      : []),
  ];
}

/** What goes together and yet is hardly meant. */
export function findWarnings({
  regions,
  gate,
  map,
}: Pick<FleetConfig, "regions" | "gate" | "map">): string[] {
  return [...warnOfMap(map), ...warnOfGate(gate, regions), ...warnOfRegions(regions, gate)];
}

/** Tailscale's list grows; it is known as it was when this version was made. */
function warnOfMap({ dropTailscaleRegions }: FleetConfig["map"]): string[] {
  const unknown = dropTailscaleRegions.filter((id) => id > tailscaleRegionCodes.size);
  if (unknown.length === 0) return [];
  return [
    `dropTailscaleRegions names ${unknown.join(", ")}, and Tailscale's regions were 1 to ${tailscaleRegionCodes.size} when this version ` +
      "was made: look at `tailscale netcheck`",
  ];
}

function warnOfGate(gate: FleetConfig["gate"], regions: FleetConfig["regions"]): string[] {
  if (gate !== "skip" || regions.every(({ cloud }) => cloud === "local")) return [];
  return [
    "the stack's gate is skipped, so that nobody knows whether its regions serve: run `npm run verify` before anybody is given the " +
      "derpMap. `npm run derpmap` leaves them out without --allow-unverified",
  ];
}

function warnOfRegions(regions: FleetConfig["regions"], gate: FleetConfig["gate"]): string[] {
  return regions.flatMap((region) => {
    const { id, cloud, nodes, mesh, skipGate } = region;
    if (cloud === "local") return [];
    const isSealed = credentialsOf(region).length > 0 && secretChannelOf(cloud) === "sealed";
    return [
      ...(nodes.length > 1 && mesh === undefined
        ? [
            `region ${id} has ${nodes.length} nodes and no mesh key: clients on different nodes of it do not reach each other. ` +
              "Write mesh with the name of a secret (docs/configuration.md)",
          ]
        : []),
      ...(isSealed && (gate === "skip" || skipGate !== undefined)
        ? [
            `region ${id} gets no new secrets while its gate is skipped: they are sealed to keys that the gate learns`,
          ]
        : []),
    ];
  });
}
