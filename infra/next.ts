/** What a person has to know or do, in words. Pure. */
import { credentialsOf } from "./bootstrap/credentials.ts";
import type { FleetNode } from "./clouds/cloud.ts";
import { secretChannelOf } from "./clouds/secret-channel.ts";
import type { FleetConfig } from "./config/fleet.ts";
import { pendingPin } from "./derpmap/build.ts";

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
    ...(retired.length > 0
      ? [
          `Once the policy without ${retired.map(({ code }) => code).join(", ")} has reached the clients, remove it from the stack ` +
            "file and run `pulumi up`.",
        ]
      : []),
  ];
}

/** What goes together and yet is hardly meant. */
export function findWarnings({ regions, gate }: Pick<FleetConfig, "regions" | "gate">): string[] {
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
