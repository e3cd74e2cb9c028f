/**
 * The stack's configuration, once: types, checks, defaults and docs/configuration.md come from here.
 *
 * Keys are below `derpkit:` in `Pulumi.<stack>.yaml`. A message says what a value is and what to write; `parse.ts` adds
 * the path and what no single value can show, such as two regions with one id.
 */
import * as v from "valibot";
import { tailscaleRegionCodes } from "../derpmap/tailscale-regions.ts";
import { isDnsLabel, isDnsName, isHumanText } from "./names.ts";
import { show } from "./show.ts";

/** What the schema says of a key beyond its type. */
export interface ConfigNotes {
  /** The default in words, where it depends on other keys or on the cloud. */
  readonly default?: string;
  readonly example?: string;
}

/** The clouds of this version. */
export const cloudNames = ["local"] as const;
export type CloudName = (typeof cloudNames)[number];

/** Default names go from `<id>a` to `<id>z`. */
const maxNodes = 26;
/** A local stack's folder has one of this name, beside those of its nodes (clouds/local-files.ts). */
const reservedNodeName = "delivery";
/** As many as there are ids. */
const maxRegions = 100;

const notes = <Input>(about: ConfigNotes) => v.metadata<Input, Record<string, unknown>>({ ...about });

const wholeNumber = (from: number, to: number) => {
  const message = ({ input }: v.BaseIssue<unknown>): string => {
    const unquoted = typeof input === "string" && /^\d+$/.test(input) ? ", without quotes" : "";
    return `is ${show(input)}; write a whole number from ${from} to ${to}${unquoted}`;
  };
  return v.pipe(
    v.number(message),
    v.check((number) => Number.isInteger(number) && number >= from && number <= to, message),
  );
};

const text = (accept: (text: string) => boolean, wanted: string) => {
  const message = ({ input }: v.BaseIssue<unknown>): string => `is ${show(input)}; write ${wanted}`;
  return v.pipe(v.string(message), v.check(accept, message));
};

const list = <Item extends v.GenericSchema>(item: Item, wanted: string) =>
  v.array(item, ({ input }) => `is ${show(input)}; write a list of ${wanted}`);

const mapping = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.strictObject(entries, ({ input, expected }) => {
    // `"id"` with its quotes for a missing key; its own schema then knows what belongs there.
    const missing = Object.entries(entries).find(([key]) => expected === `"${key}"`)?.[1];
    const message = missing && v.safeParse(missing, undefined).issues?.[0].message;
    return message ?? `is ${show(input)}; write a mapping with ${Object.keys(entries).join(", ")}`;
  });

const port = wholeNumber(1, 65_535);

export const nodeSchema = mapping({
  name: v.pipe(
    v.optional(
      v.pipe(
        text(isDnsLabel, "a DNS label: lower-case letters, digits and inner hyphens, 63 at most"),
        v.check(
          (name) => name !== reservedNodeName,
          ({ input }) => `is ${show(input)}, which names the folder of what is delivered; choose another`,
        ),
      ),
    ),
    v.description("Name of the node in the derpMap, unique in the whole tailnet."),
    notes({ default: "`<id>a`, `<id>b`, and so on, by its place in the list", example: "901a" }),
  ),
  hostName: v.pipe(
    v.optional(
      text(isDnsName, "a DNS name in lower case without a final dot, for example 901a.derp.example.com"),
    ),
    v.description("DNS name that clients connect to, and the name in the certificate."),
    notes({ default: "`<node name>.<domain>`", example: "901a.derp.example.com" }),
  ),
  derpPort: v.pipe(
    v.optional(port),
    v.description("TCP port of DERP over TLS."),
    notes({ default: "`local`: a free port from 20000 to 29999, chosen once and kept", example: "443" }),
  ),
  stunPort: v.pipe(
    v.optional(port),
    v.description("UDP port of STUN."),
    notes({ default: "`local`: a free port from 20000 to 29999, chosen once and kept", example: "3478" }),
  ),
});

export const regionSchema = mapping({
  id: v.pipe(
    wholeNumber(900, 999),
    v.description("Id of the region in the derpMap. Tailscale keeps 900 to 999 for users' own regions."),
    notes({ example: "901" }),
  ),
  code: v.pipe(
    text(
      (code) => code.length <= 20 && isDnsLabel(code),
      "a short code: lower-case letters, digits and inner hyphens, 20 at most",
    ),
    v.check(
      (code) => !tailscaleRegionCodes.has(code),
      ({ input }) => `is ${show(input)}, the code of one of Tailscale's own regions; choose another`,
    ),
    v.description("Short code of the region, shown by `tailscale status`. None of Tailscale's own codes."),
    notes({ example: "alfa" }),
  ),
  name: v.pipe(
    text(isHumanText, "one line of text, 100 characters at most, without spaces around it"),
    v.description("Name of the region for people, shown by `tailscale netcheck`."),
    notes({ example: "Alfa, rack 1" }),
  ),
  cloud: v.pipe(
    v.picklist(
      cloudNames,
      ({ input }) => `is ${show(input)}; write one of the clouds of this version: ${cloudNames.join(", ")}`,
    ),
    v.description(
      "Where the region's nodes are. `local`: relays on this machine's loopback, for trying things out.",
    ),
    notes({ example: "local" }),
  ),
  nodes: v.pipe(
    v.optional(
      v.pipe(
        list(nodeSchema, "nodes, or leave the key out for one node"),
        v.check(
          (nodes) => nodes.length > 0 && nodes.length <= maxNodes,
          ({ input }) =>
            `has ${input.length} nodes; write 1 to ${maxNodes}, or leave the key out for one node`,
        ),
      ),
      [{}],
    ),
    v.description("The region's relays, in the order in which clients try them."),
    notes({ default: "one node" }),
  ),
});

export const fleetSchema = mapping({
  domain: v.pipe(
    v.optional(
      text(
        // A node's name of 63 characters and a dot have to fit before it.
        (name) => isDnsName(name) && name.length <= 189,
        "a DNS name in lower case without a final dot, 189 characters at most, for example derp.example.com",
      ),
      "derpkit.internal",
    ),
    v.description("Domain of the nodes' host names, where a node has none of its own."),
    notes({ example: "derp.example.com" }),
  ),
  regions: v.pipe(
    list(regionSchema, "regions, each with id, code, name and cloud"),
    v.check(
      (regions) => regions.length > 0 && regions.length <= maxRegions,
      ({ input }) => `has ${input.length} regions; write 1 to ${maxRegions}`,
    ),
    v.description("The fleet's regions."),
  ),
});

/** A checked configuration, still without the defaults that depend on other keys. */
export type CheckedFleet = v.InferOutput<typeof fleetSchema>;
