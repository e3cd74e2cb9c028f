/** What the relay reads from its environment, for the docs; each is read where it is used. */

export interface Variable {
  readonly name: string;
  readonly description: string;
  /** True if derper has no such variable. */
  readonly ours?: boolean;
}

export const environment: readonly Variable[] = [
  {
    name: "STATE_DIRECTORY",
    description:
      "Where the relative paths of a config file start, and the key file's folder for who is not root and gives no `-c`; systemd sets it for a unit with StateDirectory=. Of several, the first counts.",
    ours: true,
  },
  {
    name: "LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES",
    description:
      "Sockets that systemd passes, by the FileDescriptorName= of their units: `derp` and `http` (TCP) and `stun` (UDP). The relay listens on each in the place of one of its own; what the options say of its address and port does not matter then.",
    ours: true,
  },
  {
    name: "NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID",
    description:
      "Where systemd wants to hear that the relay serves and stops, and that its event loop goes on, a third of WatchdogSec= apart. A unit needs Type=notify and NotifyAccess=all.",
    ours: true,
  },
  {
    name: "PATH",
    description: "Where the `perl` is that sends what systemd wants to hear; nothing else is started.",
    ours: true,
  },
  {
    name: "HOME, XDG_CACHE_HOME",
    description: "Where certificates, the mesh key and a setec server's secrets lie if no flag says.",
  },
  {
    name: "TAILSCALE_DERPER_MESH_KEY",
    description: "The mesh key with `-dev`, in the place of any other.",
  },
  {
    name: "DERPKIT_ADMISSION_API_SECRET",
    description: "The secret of the OAuth client; goes over `-admission-api-secret-file`.",
    ours: true,
  },
  {
    name: "SSL_CERT_FILE, SSL_CERT_DIR",
    description:
      "Authorities to trust wherever the relay asks somebody, in the place of the system's bundle and folders; several folders with colons between.",
  },
  {
    name: "HTTPS_PROXY, HTTP_PROXY, NO_PROXY",
    description:
      "Proxies for the admission URL, the Tailscale API and a setec server, not for the mesh; in upper or lower case.",
  },
  {
    name: "TS_ALLOW_DEBUG_IP, TS_DEBUG_TRUSTED_CIDRS",
    description: "An address, and networks with commas between, that may look at the debug pages.",
  },
  {
    name: "TS_DEBUG_KEY_PATH",
    description: "File with a key that lets anybody look who gives it as `debugkey`.",
  },
  {
    name: "TS_DEBUG_VERBOSE_DROPS",
    description:
      "Node keys, 64 hex digits each with commas between: packets to and from them that are dropped are logged, the same line five times at once and then twice a minute.",
  },
  {
    name: "DERP_DEBUG_LOGS, DERP_PROBER_DEBUG_LOGS",
    description:
      "If true, log the logins, frames and ends of all clients and every drop; or of clients that say they are probers.",
  },
  {
    name: "TS_DEBUG_DERP_PER_CLIENT_SEND_QUEUE_DEPTH",
    description: "Packets that each of a client's two queues holds, in the place of bounds in bytes and age.",
  },
  {
    name: "TS_DERP_DISABLE_RTT_STATS",
    description: "Does nothing: the relay samples no round trip times.",
  },
];
