/**
 * The stack's configuration, once: types, checks, defaults and docs/configuration.md come from here.
 *
 * Keys are below `derpkit:` in `Pulumi.<stack>.yaml`. A message says what a value is and what to write; `parse.ts` adds
 * the path and what no single value can show, such as two regions with one id.
 */
import * as v from "valibot";
import { isPublicKey, maxTrustedKeys } from "../../relay/updater/public-key.ts";
import { type AwsPartition, cloudNames } from "../clouds/places.ts";
import { runtimeNames } from "../bootstrap/runtimes.ts";
import { tailscaleRegionCodes } from "../derpmap/tailscale-regions.ts";
import {
  isDate,
  isDnsLabel,
  isDnsName,
  isHumanText,
  isNodeKey,
  isPin,
  isSecretName,
  isSecureUrl,
} from "./names.ts";
import { show } from "./show.ts";

/** What the schema says of a key beyond its type. */
export interface ConfigNotes {
  /** The default in words, where it depends on other keys or on the cloud. */
  readonly default?: string;
  readonly example?: string;
}

/** How a node gets its certificate; docs/certificates.md has what each needs. */
export const certificateModes = ["acme", "acme-ip", "pinned", "manual"] as const;

/** Where a region is in its life. All but `retired` are protected from being deleted. */
export const regionStates = ["canary", "serving", "draining", "retired"] as const;

export const addressFamilies = ["ipv4", "ipv6"] as const;

/** Who makes DNS records. */
export const dnsProviders = ["none", "cloudflare"] as const;

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

const oneOf = <const Choices extends readonly string[]>(choices: Choices, what: string) =>
  v.picklist(choices, ({ input }) => `is ${show(input)}; write ${what}: ${choices.join(", ")}`);

const flag = v.boolean(({ input }) => `is ${show(input)}; write true or false`);

const secureUrl = text(isSecureUrl, "a URL that begins with https://, without user, password or fragment");

const humanText = text(isHumanText, "one line of text, 100 characters at most, without spaces around it");

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
    notes({ default: "443; `local`: a free port from 20000 to 29999, chosen once and kept", example: "443" }),
  ),
  stunPort: v.pipe(
    v.optional(port),
    v.description("UDP port of STUN."),
    notes({
      default: "3478; `local`: a free port from 20000 to 29999, chosen once and kept",
      example: "3478",
    }),
  ),
  pin: v.pipe(
    v.optional(text(isPin, "sha256-raw: and 64 lower-case hex digits")),
    v.description(
      "Of a `pinned` region in a cloud: the SHA-256 of the node's certificate, for the derpMap. A region whose pins are " +
        "not all known is not in the map.",
    ),
    notes({ default: "not known yet" }),
  ),
});

/** The name of a secret: a key of its own at the top. */
export const secretNameSchema = text(
  isSecretName,
  "the name of a key of this configuration: a letter, then letters and digits, 40 at most",
);

const tailnetApiSchema = mapping({
  clientId: v.pipe(
    text((id) => /^[\w-]{1,100}$/.test(id), "the id of an OAuth client"),
    v.description("Id of an OAuth client of the tailnet with the scope `devices:core:read`, and no other."),
    notes({ example: "kAbCdEf1CNTRL" }),
  ),
  secret: v.pipe(
    secretNameSchema,
    v.description(
      "Name of the key that has the client's secret. Set it with `pulumi config set --secret derpkit:<name>`.",
    ),
    notes({ example: "tailnetReader" }),
  ),
});

/** A list goes to the nodes as one file of their release. */
const maxAllowed = 10_000;

const admissionSchema = mapping({
  anyone: v.pipe(
    v.optional(flag),
    v.description("Lets in every client that owns the key it shows, whoever it is."),
    notes({ default: "`false`" }),
  ),
  verifyClientUrl: v.pipe(
    v.optional(secureUrl),
    v.description("Asks a web service about each client, as Headscale's `/verify` answers."),
    notes({ default: "nobody is asked", example: "https://headscale.example.com/verify" }),
  ),
  allow: v.pipe(
    v.optional(
      v.pipe(
        list(
          text(
            isNodeKey,
            "a node's public key, as `tailscale status --json` shows it: nodekey: and 64 lower-case hex digits",
          ),
          "node keys",
        ),
        v.check(
          (keys) => keys.length <= maxAllowed,
          ({ input }) => `has ${input.length} keys; write ${maxAllowed} at most`,
        ),
      ),
    ),
    v.description("Lets in these nodes and no others. An empty list lets in nobody."),
    notes({ default: "no list" }),
  ),
  tailnetApi: v.pipe(
    v.optional(tailnetApiSchema),
    v.description("Lets in the devices of the tailnet, which the relay asks Tailscale's API for."),
    notes({ default: "the API is not asked" }),
  ),
});

const clientRateSchema = mapping({
  bytesPerSecond: v.pipe(
    wholeNumber(1_000, 100_000_000_000),
    v.description("Bytes that a client may send in a second, as an average."),
    notes({ example: "5000000" }),
  ),
  burst: v.pipe(
    v.optional(wholeNumber(1, 100_000_000_000)),
    v.description("Bytes that it may send at once."),
    notes({ default: "one packet of the longest, which is also the least", example: "20000000" }),
  ),
});

const skipGateSchema = mapping({
  reason: v.pipe(
    humanText,
    v.description("Why, for who reads it next."),
    notes({ example: "the data centre is flooded" }),
  ),
  until: v.pipe(
    text(isDate, "a day, such as 2026-12-31"),
    v.description(
      "The last day. After it the configuration is refused until the key is gone or has another day.",
    ),
    notes({ example: "2026-12-31" }),
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
    humanText,
    v.description("Name of the region for people, shown by `tailscale netcheck`."),
    notes({ example: "Alfa, rack 1" }),
  ),
  cloud: v.pipe(
    oneOf(cloudNames, "one of the clouds of this version"),
    v.description(
      "Where the region's nodes are. `local`: relays on this machine's loopback, for trying things out.",
    ),
    notes({ example: "hetzner" }),
  ),
  location: v.pipe(
    v.optional(text(isDnsLabel, "the cloud's own name of the place, for example fsn1")),
    v.description(
      "The cloud's own name of the place: a location of Hetzner, a region of AWS. Not for `local`.",
    ),
    notes({ default: "none; every cloud but `local` requires it", example: "fsn1" }),
  ),
  size: v.pipe(
    v.optional(
      text(
        (size) => /^[a-z][a-z0-9.-]{0,39}$/.test(size),
        "the cloud's own name of a machine type, for example cax11",
      ),
    ),
    v.description("Type of the machines, by the cloud's own name. Arm or x86 follows from it."),
    notes({ default: "the smallest sensible one that the place sells", example: "cax11" }),
  ),
  image: v.pipe(
    v.optional(text((id) => /^ami-[0-9a-f]{8,17}$/.test(id), "the id of an image, ami- and hex digits")),
    v.description(
      "At AWS: the image that machines are made from, Debian 13 with cloud-init. It counts when a machine is built.",
    ),
    notes({
      default: "the newest of Debian's own; partitions other than `aws` require it",
      example: "ami-0123456789abcdef0",
    }),
  ),
  addresses: v.pipe(
    v.optional(
      v.pipe(
        list(oneOf(addressFamilies, "an address family"), "address families: ipv4, ipv6"),
        v.check(
          (families) => families.length > 0 && new Set(families).size === families.length,
          () => "has to name each family once; write [ipv4, ipv6], [ipv4] or [ipv6]",
        ),
      ),
      ["ipv4", "ipv6"],
    ),
    v.description("Families of the nodes' public addresses."),
    notes({ default: "`[ipv4, ipv6]`", example: "[ipv4]" }),
  ),
  certificates: v.pipe(
    v.optional(oneOf(certificateModes, "a certificate mode")),
    v.description(
      "How the nodes get their certificates. `acme`: for their DNS names, from Let's Encrypt. `acme-ip`: for their " +
        "addresses, without DNS. `pinned`: self-signed, known to clients by its digest. `manual`: files that you put there.",
    ),
    notes({ default: "`acme`; `local`: always `pinned`", example: "acme-ip" }),
  ),
  admission: v.pipe(
    v.optional(admissionSchema),
    v.description("Who may connect. A relay in a cloud is closed until this says who."),
    notes({ default: "none; every cloud but `local` requires it" }),
  ),
  clientRate: v.pipe(
    v.optional(clientRateSchema),
    v.description(
      "What each client may send. Who sends more is not cut off, but read from more slowly. Another number restarts no relay.",
    ),
    notes({ default: "no limit" }),
  ),
  state: v.pipe(
    v.optional(oneOf(regionStates, "a state"), "serving"),
    v.description(
      "`canary`: in the derpMap, and no client makes it its home. `serving`: in use. `draining`: clients look for another " +
        "home. `retired`: out of the derpMap, and may be deleted; the others are protected from that.",
    ),
    notes({ example: "canary" }),
  ),
  wave: v.pipe(
    v.optional(wholeNumber(1, 99), 1),
    v.description("Regions of a wave are changed together, waves one after the other."),
    notes({ example: "2" }),
  ),
  skipGate: v.pipe(
    v.optional(skipGateSchema),
    v.description(
      "Does not wait for the region, which is known not to serve. It stays out of the derpMap meanwhile.",
    ),
    notes({ default: "the gate is not skipped" }),
  ),
  generation: v.pipe(
    v.optional(wholeNumber(1, 1_000_000), 1),
    v.description(
      "Another number builds the region's machines anew. Addresses, names, keys and certificates stay.",
    ),
    notes({ example: "2" }),
  ),
  icmpEcho: v.pipe(
    v.optional(flag, true),
    v.description("Whether the nodes answer ping, which clients use where UDP is blocked."),
    notes({ example: "false" }),
  ),
  http: v.pipe(
    v.optional(flag, false),
    v.description(
      "Opens TCP port 80: for proofs to a certificate authority by HTTP, and for clients that look for a captive portal.",
    ),
    notes({ example: "true" }),
  ),
  peerRelayPort: v.pipe(
    v.optional(port),
    v.description(
      "Opens a UDP port for a peer relay of Tailscale's that you run on the same machines. The kit runs none.",
    ),
    notes({ default: "none is opened", example: "40000" }),
  ),
  mesh: v.pipe(
    v.optional(secretNameSchema),
    v.description(
      "Name of the key that has the region's mesh key, by which its relays know each other: 64 hex digits, as " +
        "`openssl rand -hex 32` gives, or several such lines, of which all are accepted and the first is shown.",
    ),
    notes({
      default: "none; several nodes in a cloud require it, and `local` makes one by itself",
      example: "stockholmMesh",
    }),
  ),
  statusToken: v.pipe(
    v.optional(secretNameSchema),
    v.description(
      "Name of the key that has a token of 16 characters or more, which lets who shows it read `/derpkit/status` and, while the region is draining, have its clients let go.",
    ),
    notes({ default: "none, and there is no such page", example: "statusReader" }),
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

const dnsSchema = mapping({
  provider: v.pipe(
    v.optional(oneOf(dnsProviders, "who makes the records"), "none"),
    v.description("`none`: nobody does, and the output `dnsRecords` lists those to make by hand."),
    notes({ example: "cloudflare" }),
  ),
  zone: v.pipe(
    v.optional(text(isDnsName, "a DNS name in lower case without a final dot, for example example.com")),
    v.description("Zone that the nodes' names are in."),
    notes({ default: "none; `cloudflare` requires it", example: "example.com" }),
  ),
  ttl: v.pipe(
    v.optional(wholeNumber(60, 86_400), 300),
    v.description("Seconds that resolvers may keep a record."),
    notes({ example: "300" }),
  ),
});

export const storeSchema = mapping({
  bucket: v.pipe(
    text(
      (name) => /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(name),
      "a bucket's name: 3 to 63 lower-case letters, digits and inner hyphens, of which no other bucket of the whole store has",
    ),
    v.description("Name of the bucket. At AWS the stack makes it; elsewhere it is there, and is yours."),
    notes({ example: "example-derp-releases" }),
  ),
  location: v.pipe(
    text(isDnsLabel, "the store's own name of the place, for example eu-central-1"),
    v.description("The store's own name of the place where the bucket is: at AWS a region."),
    notes({ example: "eu-central-1" }),
  ),
  endpoint: v.pipe(
    v.optional(
      text(
        (url) => isSecureUrl(url) && new URL(url).pathname === "/" && !url.endsWith("/"),
        "the URL of a store, such as https://fsn1.your-objectstorage.com, without a path",
      ),
    ),
    v.description(
      "Another store than AWS' that speaks S3. Its bucket lets everybody read, or at least the nodes: the stack writes " +
        "objects and nothing else.",
    ),
    notes({ default: "AWS", example: "https://fsn1.your-objectstorage.com" }),
  ),
  accessKeyId: v.pipe(
    v.optional(text((id) => /^[\w-]{1,128}$/.test(id), "the id of an access key")),
    v.description("With `endpoint`: id of the key by which the stack writes."),
    notes({ default: "none; `endpoint` requires it", example: "JWM4Y3KE6YGPZ0XAMPLE" }),
  ),
  secret: v.pipe(
    v.optional(secretNameSchema),
    v.description("With `endpoint`: name of the key of this configuration that has the access key's secret."),
    notes({ default: "none; `endpoint` requires it", example: "releasesWriter" }),
  ),
});

const deliverySchema = mapping({
  url: v.pipe(
    v.optional(secureUrl),
    v.description(
      "Where nodes fetch their releases: each region's are in the folder of its code, as `npm run bundle` lays them out. " +
        "You put them there.",
    ),
    notes({ default: "none; either this or `s3`", example: "https://downloads.example.com/derpkit" }),
  ),
  s3: v.pipe(
    v.optional(storeSchema),
    v.description(
      "A bucket where the stack puts the releases, signed with `derpkit:signingKey`; nodes fetch them from there.",
    ),
    notes({ default: "none; either this or `url`" }),
  ),
});

const minutes = wholeNumber(1, 120);

const verifySchema = mapping({
  require: v.pipe(
    v.optional(list(oneOf(addressFamilies, "an address family"), "address families: ipv4, ipv6"), ["ipv4"]),
    v.description(
      "Families over which a node has to be tested; others count only where they can be from here.",
    ),
    notes({ default: "`[ipv4]`", example: "[ipv4, ipv6]" }),
  ),
  firstBootMinutes: v.pipe(
    v.optional(minutes, 15),
    v.description("How long a machine that is new may take."),
    notes({ example: "30" }),
  ),
  upgradeMinutes: v.pipe(
    v.optional(minutes, 5),
    v.description("How long an upgrade may take."),
    notes({ example: "10" }),
  ),
});

const awsProfile = (partition: AwsPartition) =>
  v.pipe(
    v.optional(text((name) => /^[\w.@+/-]{1,100}$/.test(name), "the name of a profile in ~/.aws/config")),
    v.description(`Profile for the regions in the partition \`${partition}\`.`),
    notes({ default: "the environment's credentials", example: "sovereign" }),
  );

const awsProfilesSchema = mapping({
  aws: awsProfile("aws"),
  "aws-eusc": awsProfile("aws-eusc"),
  "aws-us-gov": awsProfile("aws-us-gov"),
  "aws-cn": awsProfile("aws-cn"),
} satisfies Record<AwsPartition, unknown>);

/** How clients are moved out of a region that drains. */
export const drainWays = ["noMeasureNoHome", "score"] as const;

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
  dns: v.pipe(
    v.optional(dnsSchema, {}),
    v.description("DNS records of the nodes' names."),
    notes({ default: "no records are made" }),
  ),
  delivery: v.pipe(
    v.optional(deliverySchema),
    v.description("How releases reach the machines."),
    notes({ default: "none; every cloud but `local` requires it" }),
  ),
  trustedKeys: v.pipe(
    v.optional(
      v.pipe(
        list(
          text(
            isPublicKey,
            "an Ed25519 public key: 60 characters of base64 that begin with MCowBQYDK2VwAyEA",
          ),
          "one or two public keys",
        ),
        v.check(
          (keys) => keys.length > 0 && keys.length <= maxTrustedKeys,
          ({ input }) => `has ${input.length} keys; write one or two`,
        ),
        v.check(
          (keys) => new Set(keys).size === keys.length,
          () => "names a key twice; write it once",
        ),
      ),
    ),
    v.description(
      "Public keys (Ed25519, SubjectPublicKeyInfo in base64) whose signatures on releases the machines trust. " +
        "`npm run keys` writes them.",
    ),
    notes({ default: "none; every cloud but `local` requires it" }),
  ),
  runtime: v.pipe(
    v.optional(oneOf(runtimeNames, "a runtime"), "bun"),
    v.description("What the relay runs on, on machines in a cloud. Both are pinned by version and digest."),
    notes({ example: "node" }),
  ),
  awsProfiles: v.pipe(
    v.optional(awsProfilesSchema, {}),
    v.description(
      "Profiles of ~/.aws/config by partition of AWS: the credentials of one are unknown to the others.",
    ),
    notes({ default: "the environment's credentials, which are of one partition" }),
  ),
  verify: v.pipe(
    v.optional(verifySchema, {}),
    v.description("How the gate looks at a region."),
    notes({ default: "IPv4, with time enough" }),
  ),
  omitDefaultRegions: v.pipe(
    v.optional(flag, false),
    v.description(
      "Leaves all of Tailscale's own regions out of the map, so that clients have yours and no others. Two of them have to " +
        "serve in different places, with their gates waited for.",
    ),
    notes({ example: "true" }),
  ),
  iUnderstandTheseAreMyOnlyRelays: v.pipe(
    v.optional(flag, false),
    v.description(
      "`omitDefaultRegions` requires it: when these regions are down, peers that find no direct way to each other do not reach " +
        "each other at all.",
    ),
    notes({ example: "true" }),
  ),
  dropTailscaleRegions: v.pipe(
    v.optional(
      v.pipe(
        list(wholeNumber(1, 899), "ids of Tailscale's own regions"),
        v.check(
          (ids) => new Set(ids).size === ids.length,
          () => "names a region twice; write it once",
        ),
      ),
      [],
    ),
    v.description("Ids of single regions of Tailscale's own to leave out of the map. The others stay."),
    notes({ default: "none", example: "[1, 5]" }),
  ),
  drainBy: v.pipe(
    v.optional(oneOf(drainWays, "a way"), "noMeasureNoHome"),
    v.description(
      "How clients are moved out of a region that is `draining`. `noMeasureNoHome`: those who are idle look for another home. " +
        "`score`: the region's latency counts a hundred times (`HomeParams.RegionScore`), which moves busy ones too and closes no " +
        "connection. Tailscale's policy service is not known to take it, and Headscale does not hand it on.",
    ),
    notes({ example: "score" }),
  ),
  gate: v.pipe(
    v.optional(oneOf(["verify", "skip"], "a gate"), "verify"),
    v.description(
      "What has to be shown of a region before the next wave is changed. `verify`: that every node serves the relay it was " +
        "given, as seen from where `pulumi up` runs. `skip`: nothing.",
    ),
    notes({ example: "skip" }),
  ),
});

/** A checked configuration, still without the defaults that depend on other keys. */
export type CheckedFleet = v.InferOutput<typeof fleetSchema>;
