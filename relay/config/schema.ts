/**
 * The relay's options, once: the config file's type and check, the command line, `--help` and the docs come from here.
 *
 * A name in the file is the long form of derper's flag in camel case (`-stun-port` is `stunPort`); derper's one-letter
 * flags have a word of their own (`-a` is `listen`, `-c` is `keyFile`).
 */
import { isIP } from "node:net";
import * as v from "valibot";
import { parseDuration } from "./duration.ts";
import { parseListenAddress } from "./listen-address.ts";
import { parseList } from "./list.ts";
import { parseNetworkList } from "./networks.ts";
import { parseMeshWith } from "./mesh.ts";

/** How a value is written as a flag: as Go's package flag wants it. A path is a text with a place to start from. */
export type OptionKind = "boolean" | "int" | "float" | "duration" | "path" | "string";

/** What the schema says of an option beyond its type. */
export interface OptionNotes {
  /** The flag, without dashes, as derper spells it. */
  readonly flag: string;
  /** Where it does not follow from the type: a number is an int, a text a string. */
  readonly kind?: OptionKind;
  /** The default in words, where it depends on the surroundings or has no name in JSON. */
  readonly default?: string;
  /** The default in a config file, where that is another one; null if there it has to be given. */
  readonly inFile?: string | boolean | null;
  /** True if derper has no such flag. */
  readonly ours?: boolean;
  readonly example?: string;
}

const port = v.pipe(
  v.number("has to be a number, not text"),
  v.integer("has to be a whole number"),
  v.minValue(1, "has to be from 1 to 65535"),
  v.maxValue(65_535, "has to be from 1 to 65535"),
);

const count = v.pipe(
  v.number("has to be a number, not text"),
  v.integer("has to be a whole number"),
  v.minValue(0, "has to be 0 or more"),
);

const duration = v.pipe(
  v.string("has to be a duration in text, for example 2s"),
  v.check((text) => parseDuration(text) !== undefined, "is not a duration: write it as 2s, 500ms or 1m30s"),
);

/** From 0 on. */
const span = v.pipe(
  duration,
  v.check((text) => (parseDuration(text) ?? 0) >= 0, "must not be negative"),
);

const path = v.string("has to be a path");

const webAddress = v.pipe(
  v.string("has to be a URL"),
  v.check((text) => text === "" || /^https?:/.test(text), "has to begin with http:// or https://"),
  v.check((text) => text === "" || URL.canParse(text), "is not a URL"),
);

const ipList = v.pipe(
  v.string("has to be text"),
  v.check(
    (text) => parseList(text).every((address) => isIP(address) !== 0),
    "has to be a comma list of IP addresses",
  ),
);

/** derper's certificate modes, and ours: acme, acme-ip and pinned. */
export const certModes = ["letsencrypt", "manual", "gcp", "acme", "acme-ip", "pinned"] as const;

export const relayConfigSchema = v.strictObject({
  listen: v.pipe(
    v.optional(
      v.pipe(
        v.string("has to be text, for example :443"),
        v.check(
          (text) => parseListenAddress(text) !== undefined,
          "has to be :port, host:port or [ipv6]:port",
        ),
      ),
      ":443",
    ),
    v.description(
      "TCP address for DERP and HTTP; its host part also binds STUN and the plain HTTP port. Port 443 means TLS, and so do " +
        "certMode manual, pinned, acme and acme-ip, and acmeDirectory; otherwise the relay speaks plain HTTP, to a proxy that does TLS.",
    ),
    v.metadata({ flag: "a", example: "127.0.0.1:8443" } satisfies OptionNotes),
  ),
  hostname: v.pipe(
    v.optional(
      v.string("has to be the DNS name or IP address that clients connect to"),
      "derp.tailscale.com",
    ),
    v.description("Name in the certificate: the HostName of this node in the derpMap."),
    v.metadata({ flag: "hostname", inFile: null, example: "901a.derp.example.com" } satisfies OptionNotes),
  ),
  certMode: v.pipe(
    v.optional(v.picklist(certModes, `has to be one of ${certModes.join(", ")}`), "letsencrypt"),
    v.description(
      "How the relay gets its certificate. acme: from a certificate authority, Let's Encrypt unless acmeDirectory names " +
        "another, for the DNS name hostname. acme-ip: the same for the machine's addresses, hostname first. " +
        "pinned: self-signed, made if there is none; clients pin it by CertName, and after a change of hostname the " +
        "former one is served beside it for 24 hours. manual: read <certDir>/<hostname>.crt and .key, and again when " +
        "they change. letsencrypt is acme with derper's rules, gcp the same from Google.",
    ),
    v.metadata({ flag: "certmode", inFile: null } satisfies OptionNotes),
  ),
  certDir: v.pipe(
    v.optional(path),
    v.description("Folder of the certificate files."),
    v.metadata({
      flag: "certdir",
      kind: "path",
      default: "tailscale/derper-certs in the user's cache folder",
      inFile: "certs",
    } satisfies OptionNotes),
  ),
  acmeEmail: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description("Contact of the ACME account; gcp needs it. Let's Encrypt no longer writes to it."),
    v.metadata({ flag: "acme-email" } satisfies OptionNotes),
  ),
  acmeEabKid: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description("Id of the external account binding; gcp needs it, and so do other authorities."),
    v.metadata({ flag: "acme-eab-kid" } satisfies OptionNotes),
  ),
  acmeEabKey: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description("Key of the external account binding, in base64; it belongs to acmeEabKid."),
    v.metadata({ flag: "acme-eab-key" } satisfies OptionNotes),
  ),
  acmeIpCerts: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "Get a certificate for each of the machine's addresses that clients come to; with letsencrypt only.",
    ),
    v.metadata({ flag: "acme-ip-certs" } satisfies OptionNotes),
  ),
  acmeDirectory: v.pipe(
    v.optional(webAddress, ""),
    v.description("Directory of the certificate authority; Let's Encrypt's by default, Google's with gcp."),
    v.metadata({
      flag: "acme-directory",
      ours: true,
      example: "https://acme.example.com/directory",
    } satisfies OptionNotes),
  ),
  acmeCa: v.pipe(
    v.optional(path, ""),
    v.description(
      "File with certificates that the authority's own TLS is trusted by, beside the system's; PEM.",
    ),
    v.metadata({ flag: "acme-ca", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  acmeProfile: v.pipe(
    v.optional(v.string("has to be text")),
    v.description("Profile of the certificates, one of those that the authority offers; empty to name none."),
    v.metadata({
      flag: "acme-profile",
      ours: true,
      default: "shortlived for addresses, none for names",
    } satisfies OptionNotes),
  ),
  acmeStaging: v.pipe(
    v.optional(webAddress),
    v.description(
      "Directory that is tried first after a failure, so that the real one is not asked in vain; empty for none.",
    ),
    v.metadata({
      flag: "acme-staging",
      ours: true,
      default: "Let's Encrypt's staging environment with Let's Encrypt, else none",
    } satisfies OptionNotes),
  ),
  acmeIps: v.pipe(
    v.optional(ipList, ""),
    v.description(
      "With acme-ip, further addresses of this machine, with commas between. The certificate names those that the authority reaches.",
    ),
    v.metadata({
      flag: "acme-ips",
      ours: true,
      default: "the public addresses of its network interfaces",
      example: "203.0.113.5,2001:db8::5",
    } satisfies OptionNotes),
  ),
  keyFile: v.pipe(
    v.optional(path),
    v.description("The relay's private key in derper's format, made if missing."),
    v.metadata({
      flag: "c",
      kind: "path",
      default: "/var/lib/derper/derper.key as root, else $STATE_DIRECTORY/derper.key",
      inFile: "derper.key",
    } satisfies OptionNotes),
  ),
  httpPort: v.pipe(
    v.optional(
      v.pipe(
        v.number("has to be a number, not text"),
        v.integer("has to be a whole number"),
        v.maxValue(65_535, "has to be from 0 to 65535, or -1 for none"),
      ),
      80,
    ),
    v.description(
      "TCP port of plain HTTP beside TLS: the captive-portal check, and a redirect to HTTPS; 0 for any, -1 for none.",
    ),
    v.metadata({ flag: "http-port" } satisfies OptionNotes),
  ),
  derp: v.pipe(
    v.optional(v.boolean("has to be true or false"), true),
    v.description("Serve DERP; false leaves STUN and the HTTP answers."),
    v.metadata({ flag: "derp" } satisfies OptionNotes),
  ),
  stun: v.pipe(
    v.optional(v.boolean("has to be true or false"), true),
    v.description("Answer STUN."),
    v.metadata({ flag: "stun" } satisfies OptionNotes),
  ),
  stunPort: v.pipe(
    v.optional(port, 3478),
    v.description("UDP port of STUN."),
    v.metadata({ flag: "stun-port" } satisfies OptionNotes),
  ),
  home: v.pipe(
    v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^(|blank|https?:\/\/.+)$/,
          "has to be empty, blank or a URL that starts with http:// or https://",
        ),
      ),
      "",
    ),
    v.description("What / answers: empty for a small page, blank for an empty one, a URL for a redirect."),
    v.metadata({ flag: "home" } satisfies OptionNotes),
  ),
  meshPskFile: v.pipe(
    v.optional(path),
    v.description(
      "File with the region's mesh key: 64 hex digits; of several lines all are accepted and the first is shown. " +
        "Empty for none.",
    ),
    v.metadata({
      flag: "mesh-psk-file",
      kind: "path",
      default: "/home/derp/keys/derp-mesh.key or $HOME/keys/derp-mesh.key, if there is one",
    } satisfies OptionNotes),
  ),
  secretsUrl: v.pipe(
    v.optional(webAddress, ""),
    v.description("setec server that the mesh key is read from, in the place of a file; empty for none."),
    v.metadata({ flag: "secrets-url" } satisfies OptionNotes),
  ),
  secretsPathPrefix: v.pipe(
    v.optional(v.string("has to be text"), "prod/derp"),
    v.description("What stands before /meshkey in the secret's name."),
    v.metadata({ flag: "secrets-path-prefix" } satisfies OptionNotes),
  ),
  secretsCacheDir: v.pipe(
    v.optional(path),
    v.description(
      "File that the secret is kept in. While it is there the server is not asked, as with derper: remove it to have a new key read.",
    ),
    v.metadata({
      flag: "secrets-cache-dir",
      kind: "path",
      default: "$HOME/.cache/derper-secrets",
      inFile: "secrets.json",
    } satisfies OptionNotes),
  ),
  meshWith: v.pipe(
    v.optional(
      v.pipe(
        v.string("has to be text"),
        v.check(
          (text) => parseMeshWith(text) !== undefined,
          "has to be a comma list of host, host:port or host/dialhost, each with =sha256-raw:<hex> if it is pinned",
        ),
      ),
      "",
    ),
    v.description("The region's other relays; this one may be among them."),
    v.metadata({
      flag: "mesh-with",
      example: "901a.derp.example.com,901b.derp.example.com",
    } satisfies OptionNotes),
  ),
  awaitSecrets: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "Start even while meshPskFile, statusTokenFile or admissionApiSecretFile is empty or not there: with no mesh, no " +
        "/derpkit/status, and nobody admitted by the Tailscale API. What comes later counts when the relay is started again.",
    ),
    v.metadata({ flag: "await-secrets", ours: true } satisfies OptionNotes),
  ),
  verifyClients: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description("Admit only clients that this machine's tailscaled knows."),
    v.metadata({ flag: "verify-clients" } satisfies OptionNotes),
  ),
  socket: v.pipe(
    v.optional(path, ""),
    v.description("tailscaled's unix socket; empty for the system's usual place."),
    v.metadata({ flag: "socket", kind: "path" } satisfies OptionNotes),
  ),
  verifyClientUrl: v.pipe(
    v.optional(webAddress, ""),
    v.description("Admit only clients that this URL allows; Headscale's /verify is one."),
    v.metadata({ flag: "verify-client-url" } satisfies OptionNotes),
  ),
  verifyClientUrlFailOpen: v.pipe(
    v.optional(v.boolean("has to be true or false"), true),
    v.description("Admit clients while that URL cannot be reached."),
    v.metadata({ flag: "verify-client-url-fail-open", inFile: false } satisfies OptionNotes),
  ),
  admissionList: v.pipe(
    v.optional(path, ""),
    v.description(
      "Admit only the node keys in this file, one a line; read again when it changes. `# nobody` makes an empty list mean it.",
    ),
    v.metadata({ flag: "admission-list", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  admissionApiClientId: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description(
      "Admit only devices of the tailnet, listed by the Tailscale API with this OAuth client (devices:core:read).",
    ),
    v.metadata({ flag: "admission-api-client-id", ours: true } satisfies OptionNotes),
  ),
  admissionApiSecretFile: v.pipe(
    v.optional(path, ""),
    v.description(
      "File with the OAuth client's secret; or the environment variable DERPKIT_ADMISSION_API_SECRET.",
    ),
    v.metadata({ flag: "admission-api-secret-file", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  admissionApiUrl: v.pipe(
    v.optional(webAddress, "https://api.tailscale.com"),
    v.description("Where the Tailscale API is."),
    v.metadata({ flag: "admission-api-url", ours: true } satisfies OptionNotes),
  ),
  admissionRecheck: v.pipe(
    v.optional(span, "5m"),
    v.description("How often open sessions are asked about again; 0 never, as derper."),
    v.metadata({ flag: "admission-recheck", ours: true, kind: "duration" } satisfies OptionNotes),
  ),
  admissionStale: v.pipe(
    v.optional(span, "24h"),
    v.description("How long a session may live on while nobody knows whether it may."),
    v.metadata({ flag: "admission-stale", ours: true, kind: "duration" } satisfies OptionNotes),
  ),
  acceptConnectionLimit: v.pipe(
    v.optional(v.number("has to be a number, not text"), Number.POSITIVE_INFINITY),
    v.description("TCP connections that are accepted each second with TLS; the rest are closed at once."),
    v.metadata({ flag: "accept-connection-limit", kind: "float", default: "+Inf" } satisfies OptionNotes),
  ),
  acceptConnectionBurst: v.pipe(
    v.optional(
      v.pipe(v.number("has to be a number, not text"), v.integer("has to be a whole number")),
      2 ** 63,
    ),
    v.description("Connections that are accepted at once."),
    v.metadata({ flag: "accept-connection-burst", default: "9223372036854775807" } satisfies OptionNotes),
  ),
  rateConfig: v.pipe(
    v.optional(path, ""),
    v.description("File with the rate limit of each client, in derper's JSON; read again on SIGHUP."),
    v.metadata({ flag: "rate-config", kind: "path" } satisfies OptionNotes),
  ),
  bootstrapDnsNames: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description(
      "Names, with commas between, whose addresses /bootstrap-dns gives to clients without DNS; looked up every 10 minutes. " +
        "An entry that names nothing, such as one with a blank beside it, is left out and logged, as by derper.",
    ),
    v.metadata({
      flag: "bootstrap-dns-names",
      example: "login.example.com,log.example.com",
    } satisfies OptionNotes),
  ),
  unpublishedBootstrapDnsNames: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description(
      "Names that /bootstrap-dns gives only to who asks for one by name, and never all of them; the log does not tell them. " +
        "name/txt-name: only to the percentage of askers, 0 to 100, that the TXT record says.",
    ),
    v.metadata({
      flag: "unpublished-bootstrap-dns-names",
      example: "new.example.com/rollout.example.com",
    } satisfies OptionNotes),
  ),
  tcpWriteTimeout: v.pipe(
    v.optional(span, "2s"),
    v.description("A client that takes no byte for so long is closed; 0 never."),
    v.metadata({ flag: "tcp-write-timeout", kind: "duration" } satisfies OptionNotes),
  ),
  tcpKeepaliveTime: v.pipe(
    v.optional(duration, "10m0s"),
    v.description("Idle time before TCP keepalive probes; 0 is 15s, as in Go, and a negative one none."),
    v.metadata({ flag: "tcp-keepalive-time", kind: "duration" } satisfies OptionNotes),
  ),
  tcpUserTimeout: v.pipe(
    v.optional(span, "15s"),
    v.description("A client that can answer pings and stays silent for so long after one is closed."),
    v.metadata({ flag: "tcp-user-timeout", kind: "duration" } satisfies OptionNotes),
  ),
  ace: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "Pass on CONNECT over TLS to Tailscale's control servers, *.tailscale.com on port 80 or 443; experimental in derper.",
    ),
    v.metadata({ flag: "ace" } satisfies OptionNotes),
  ),
  dev: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "For trying things out: listens on :3340, with a key that is thrown away and the mesh key of the environment " +
        "variable TAILSCALE_DERPER_MESH_KEY; a refused debug page says what would permit it.",
    ),
    v.metadata({ flag: "dev" } satisfies OptionNotes),
  ),
  maxConnections: v.pipe(
    v.optional(count, 0),
    v.description(
      "Connections in all; further ones are closed at once. 0: as many as the files that the process may open and half of its " +
        "memory allow.",
    ),
    v.metadata({ flag: "max-connections", ours: true } satisfies OptionNotes),
  ),
  maxWaitingPerAddress: v.pipe(
    v.optional(count, 256),
    v.description(
      "Connections of one source (an IPv4 address, or a /64 of IPv6) that are not logged in; further ones are closed at once. " +
        "0 for no limit; there is none where a proxy does TLS.",
    ),
    v.metadata({ flag: "max-waiting-per-address", ours: true } satisfies OptionNotes),
  ),
  trustedProxies: v.pipe(
    v.optional(
      v.pipe(
        v.string("has to be text"),
        v.check(
          (text) => parseNetworkList(text).mistakes.length === 0,
          "has to be a comma list of networks, for example 10.0.0.0/8,fd00::/8",
        ),
      ),
      "",
    ),
    v.description(
      "Networks of proxies in front of this relay, which -max-waiting-per-address does not limit.",
    ),
    v.metadata({ flag: "trusted-proxies", ours: true, example: "192.0.2.10/32" } satisfies OptionNotes),
  ),
  maxConnectionsPerKey: v.pipe(
    v.optional(count, 32),
    v.description(
      "Connections that one node key may have; a further one is refused after 5 s. 0 for no limit.",
    ),
    v.metadata({ flag: "max-connections-per-key", ours: true } satisfies OptionNotes),
  ),
  reportDuplicates: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "Tell clients whose node key is connected more than once; `tailscale status` shows it. A client that changes networks is " +
        "told as well, until its old connection has ended.",
    ),
    v.metadata({ flag: "report-duplicates", ours: true } satisfies OptionNotes),
  ),
  drain: v.pipe(
    v.optional(span, "5s"),
    v.description(
      "When the relay stops: time over which its clients, which are told, are closed one after the other. " +
        "A second signal stops at once.",
    ),
    v.metadata({ flag: "drain", ours: true, kind: "duration" } satisfies OptionNotes),
  ),
  selfProbe: v.pipe(
    v.optional(v.boolean("has to be true or false"), true),
    v.description(
      "Have the relay ask its own listeners every 5 s what clients ask: TLS, a DERP login, STUN. " +
        "While one of them keeps failing, /healthz answers 503 and STUN is silent.",
    ),
    v.metadata({ flag: "self-probe", ours: true } satisfies OptionNotes),
  ),
  strictDerperDebug: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description(
      "Show the debug pages to whom derper shows them: also to loopback behind a proxy, and to Tailscale addresses " +
        "that come in at another address.",
    ),
    v.metadata({ flag: "strict-derper-debug", ours: true } satisfies OptionNotes),
  ),
  statusTokenFile: v.pipe(
    v.optional(path, ""),
    v.description(
      "File with a token, one line of at least 16 characters, that lets who shows it read /derpkit/status over TLS, and what drainingFile says; " +
        "read again on SIGHUP. Empty for no such page.",
    ),
    v.metadata({ flag: "status-token-file", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  drainingFile: v.pipe(
    v.optional(path, ""),
    v.description(
      "While this file is there, the region is on its way out: who shows the status token may have the relay let clients go that are " +
        "at home there (POST /derpkit/let-go). Empty for nobody.",
    ),
    v.metadata({ flag: "draining-file", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  updaterStatusFile: v.pipe(
    v.optional(path, ""),
    v.description(
      "File in which the node's updater says how it does, for /healthz, /derpkit/status and metrics. Empty for none.",
    ),
    v.metadata({ flag: "updater-status-file", ours: true, kind: "path" } satisfies OptionNotes),
  ),
  exitOnStdinEnd: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description("Stop when standard input ends: no relay outlives the program that started it."),
    v.metadata({ flag: "exit-on-stdin-end", ours: true } satisfies OptionNotes),
  ),
});

/** What a person writes: everything may be left out, but in a file `hostname` and `certMode`. */
export type RelayConfigInput = v.InferInput<typeof relayConfigSchema>;

/** A checked configuration with every default in place. */
export type RelayConfig = v.InferOutput<typeof relayConfigSchema>;
