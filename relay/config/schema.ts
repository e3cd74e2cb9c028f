/**
 * The relay's options, once: the config file's type and check, the command line, `--help` and the docs come from here.
 *
 * A name in the file is the long form of derper's flag in camel case (`-stun-port` is `stunPort`); derper's one-letter
 * flags have a word of their own (`-a` is `listen`, `-c` is `keyFile`).
 */
import * as v from "valibot";
import { parseDuration } from "./duration.ts";
import { parseListenAddress } from "./listen-address.ts";
import { parseNetworkList } from "./networks.ts";
import { parseMeshWith } from "./mesh.ts";

/** What the schema says of an option beyond its type. */
export interface OptionNotes {
  /** The flag, without dashes, as derper spells it. */
  readonly flag: string;
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

const webAddress = v.pipe(
  v.string("has to be a URL"),
  v.check((text) => text === "" || /^https?:/.test(text), "has to begin with http:// or https://"),
  v.check((text) => text === "" || URL.canParse(text), "is not a URL"),
);

/** The certificate modes that this version of the relay has. */
export const certModes = ["manual", "pinned"] as const;

export const relayConfigSchema = v.strictObject({
  listen: v.pipe(
    v.optional(
      v.pipe(
        v.string("has to be text, for example :443"),
        v.check((text) => parseListenAddress(text) !== undefined, "has to be :port, ip:port or [ipv6]:port"),
      ),
      ":443",
    ),
    v.description("TCP address for DERP and HTTPS; its host part also binds STUN."),
    v.metadata({ flag: "a", example: "127.0.0.1:8443" } satisfies OptionNotes),
  ),
  hostname: v.pipe(
    v.string("has to be the DNS name or IP address that clients connect to"),
    v.nonEmpty("must not be empty"),
    v.description("Name in the certificate: the HostName of this node in the derpMap."),
    v.metadata({ flag: "hostname", example: "901a.derp.example.com" } satisfies OptionNotes),
  ),
  certMode: v.pipe(
    v.picklist(certModes, "has to be manual or pinned"),
    v.description(
      "How the relay gets its certificate. manual: read <certDir>/<hostname>.crt and .key. " +
        "pinned: the same, and a self-signed pair is made if there is none; clients pin it by CertName.",
    ),
    v.metadata({ flag: "certmode" } satisfies OptionNotes),
  ),
  certDir: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty("must not be empty")), "certs"),
    v.description("Folder of the certificate files; relative to the state directory."),
    v.metadata({ flag: "certdir" } satisfies OptionNotes),
  ),
  keyFile: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty("must not be empty")), "derper.key"),
    v.description(
      "The relay's private key in derper's format, made if missing; relative to the state directory.",
    ),
    v.metadata({ flag: "c" } satisfies OptionNotes),
  ),
  httpPort: v.pipe(
    v.optional(
      v.pipe(
        v.number("has to be a number, not text"),
        v.integer("has to be a whole number"),
        v.check(
          (number) => number === -1 || (number >= 1 && number <= 65_535),
          "has to be from 1 to 65535, or -1 for none",
        ),
      ),
      80,
    ),
    v.description("TCP port of plain HTTP: the captive-portal check, and a redirect to HTTPS; -1 for none."),
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
    v.optional(v.string("has to be a path"), ""),
    v.description(
      "File with the region's mesh key: 64 hex digits; of several lines all are accepted and the first is shown. " +
        "Empty: /home/derp/keys/derp-mesh.key or $HOME/keys/derp-mesh.key, if there is one.",
    ),
    v.metadata({ flag: "mesh-psk-file" } satisfies OptionNotes),
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
  verifyClients: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description("Admit only clients that this machine's tailscaled knows."),
    v.metadata({ flag: "verify-clients" } satisfies OptionNotes),
  ),
  socket: v.pipe(
    v.optional(v.string("has to be a path"), ""),
    v.description("tailscaled's unix socket; empty for the system's usual place."),
    v.metadata({ flag: "socket" } satisfies OptionNotes),
  ),
  verifyClientUrl: v.pipe(
    v.optional(webAddress, ""),
    v.description("Admit only clients that this URL allows; Headscale's /verify is one."),
    v.metadata({ flag: "verify-client-url" } satisfies OptionNotes),
  ),
  verifyClientUrlFailOpen: v.pipe(
    v.optional(v.boolean("has to be true or false"), true),
    v.description("Admit clients while that URL cannot be reached. In a config file the default is false."),
    v.metadata({ flag: "verify-client-url-fail-open" } satisfies OptionNotes),
  ),
  admissionList: v.pipe(
    v.optional(v.string("has to be a path"), ""),
    v.description(
      "Admit only the node keys in this file, one a line; read again when it changes. `# nobody` makes an empty list mean it.",
    ),
    v.metadata({ flag: "admission-list", ours: true } satisfies OptionNotes),
  ),
  admissionApiClientId: v.pipe(
    v.optional(v.string("has to be text"), ""),
    v.description(
      "Admit only devices of the tailnet, listed by the Tailscale API with this OAuth client (devices:core:read).",
    ),
    v.metadata({ flag: "admission-api-client-id", ours: true } satisfies OptionNotes),
  ),
  admissionApiSecretFile: v.pipe(
    v.optional(v.string("has to be a path"), ""),
    v.description(
      "File with the OAuth client's secret; or the environment variable DERPKIT_ADMISSION_API_SECRET.",
    ),
    v.metadata({ flag: "admission-api-secret-file", ours: true } satisfies OptionNotes),
  ),
  admissionApiUrl: v.pipe(
    v.optional(webAddress, "https://api.tailscale.com"),
    v.description("Where the Tailscale API is."),
    v.metadata({ flag: "admission-api-url", ours: true } satisfies OptionNotes),
  ),
  admissionRecheck: v.pipe(
    v.optional(duration, "5m"),
    v.description("How often open sessions are asked about again; 0 never, as derper."),
    v.metadata({ flag: "admission-recheck", ours: true } satisfies OptionNotes),
  ),
  admissionStale: v.pipe(
    v.optional(duration, "24h"),
    v.description("How long a session may live on while nobody knows whether it may."),
    v.metadata({ flag: "admission-stale", ours: true } satisfies OptionNotes),
  ),
  acceptConnectionLimit: v.pipe(
    v.optional(v.pipe(v.number("has to be a number, not text"), v.gtValue(0, "has to be more than 0"))),
    v.description(
      "TCP connections that are accepted each second; the rest are closed at once. No limit by default.",
    ),
    v.metadata({ flag: "accept-connection-limit" } satisfies OptionNotes),
  ),
  acceptConnectionBurst: v.pipe(
    v.optional(
      v.pipe(
        v.number("has to be a number, not text"),
        v.integer("has to be a whole number"),
        v.minValue(1, "has to be at least 1"),
      ),
    ),
    v.description("Connections that are accepted at once. No limit by default."),
    v.metadata({ flag: "accept-connection-burst" } satisfies OptionNotes),
  ),
  rateConfig: v.pipe(
    v.optional(v.string("has to be a path"), ""),
    v.description("File with the rate limit of each client, in derper's JSON; read again on SIGHUP."),
    v.metadata({ flag: "rate-config" } satisfies OptionNotes),
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
    v.optional(duration, "2s"),
    v.description("A client that takes no byte for so long is closed; 0 never."),
    v.metadata({ flag: "tcp-write-timeout" } satisfies OptionNotes),
  ),
  tcpKeepaliveTime: v.pipe(
    v.optional(duration, "10m"),
    v.description("Idle time before TCP keepalive probes."),
    v.metadata({ flag: "tcp-keepalive-time" } satisfies OptionNotes),
  ),
  tcpUserTimeout: v.pipe(
    v.optional(duration, "15s"),
    v.description("A client that can answer pings and stays silent for so long after one is closed."),
    v.metadata({ flag: "tcp-user-timeout" } satisfies OptionNotes),
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
        "0 for no limit.",
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
    v.optional(duration, "5s"),
    v.description(
      "When the relay stops: time over which its clients, which are told, are closed one after the other. " +
        "A second signal stops at once.",
    ),
    v.metadata({ flag: "drain", ours: true } satisfies OptionNotes),
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
  exitOnStdinEnd: v.pipe(
    v.optional(v.boolean("has to be true or false"), false),
    v.description("Stop when standard input ends: no relay outlives the program that started it."),
    v.metadata({ flag: "exit-on-stdin-end", ours: true } satisfies OptionNotes),
  ),
});

/** What a person writes: everything but `hostname` and `certMode` may be left out. */
export type RelayConfigInput = v.InferInput<typeof relayConfigSchema>;

/** A checked configuration with every default in place. */
export type RelayConfig = v.InferOutput<typeof relayConfigSchema>;
