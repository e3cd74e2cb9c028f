/**
 * What a machine boots with: stage 0, and nothing else. Pure.
 *
 * Stage 0 fetches the region's manifest, checks its signature, and starts what the manifest calls stage 1; runtime,
 * units, updater and relay come from there. It is small, for clouds limit it and a changed one is a new machine, and
 * holds no secret, for whoever reaches the machine's metadata can read it.
 */
import { renderPublicPem } from "../../relay/updater/public-key.ts";
import { emptyVolume } from "./empty-volume.ts";
import { stage0 } from "./stage0.ts";

export interface BootSettings {
  readonly stack: string;
  /** The region's code. */
  readonly region: string;
  readonly node: string;
  /** Another number is another machine. */
  readonly generation: number;
  /** Where the region's releases are, without a final slash. What comes from there is trusted by its signature alone. */
  readonly deliveryUrl: string;
  /** Path of the volume that outlives the machine. */
  readonly volumeDevice: string;
  /** One or two Ed25519 public keys: SubjectPublicKeyInfo in base64. */
  readonly trustedKeys: readonly string[];
  /** False turns the answers to ping off. */
  readonly icmpEcho: boolean;
}

/** Most bytes of user data: EC2 before base64, Hetzner as text. */
export const userDataLimits = { aws: 16_384, hetzner: 32_768 } as const;

/** Renders a machine's user data. */
export function renderCloudInit(settings: BootSettings): string {
  const { stack, region, node, generation, trustedKeys, icmpEcho } = settings;
  const files = [
    writeFile("/etc/derpkit/stage0.env", "0644", renderEnvironment(settings)),
    ...trustedKeys.map((key, index) =>
      writeFile(`/etc/derpkit/trusted-${index + 1}.pem`, "0644", renderPublicPem(key)),
    ),
    writeFile("/etc/derpkit/empty-volume", "0644", emptyVolume),
    writeFile("/usr/local/sbin/derpkit-stage0", "0755", stage0),
    writeFile("/etc/systemd/system/derpkit-stage0.service", "0644", stage0Unit),
    writeFile("/etc/systemd/system/var-lib-derpkit.mount", "0644", renderMount(settings)),
    ...(icmpEcho ? [] : [writeFile("/etc/sysctl.d/60-derpkit-echo.conf", "0644", noEcho)]),
  ];
  return [
    "#cloud-config",
    // Also what makes the user data of two generations differ.
    `# derpkit: node ${node} of region ${region}, stack ${stack}, generation ${generation}`,
    // The relay need not wait until the disk has its full size.
    "resize_rootfs: noblock",
    "write_files:",
    ...files,
    "runcmd:",
    ...(icmpEcho ? [] : ["  - [sysctl, --load, /etc/sysctl.d/60-derpkit-echo.conf]"]),
    "  - [systemctl, daemon-reload]",
    "  - [systemctl, enable, --now, --no-block, derpkit-stage0.service]",
    "",
  ].join("\n");
}

function renderEnvironment({ stack, region, node, deliveryUrl, volumeDevice }: BootSettings): string {
  return Object.entries({
    DERPKIT_STACK: stack,
    DERPKIT_REGION: region,
    DERPKIT_NODE: node,
    DERPKIT_DELIVERY: deliveryUrl,
    DERPKIT_VOLUME: volumeDevice,
  })
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join("");
}

/** A value as both a shell and systemd's EnvironmentFile read it. */
function quote(value: string): string {
  if (/^[\w@%+=:,./~?&-]+$/.test(value)) return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value}'`;
  throw new RangeError(`a setting of a machine has to be plain text: ${JSON.stringify(value)}`);
}

/** A member of `write_files`. A YAML block keeps every byte of a text that ends with one newline. */
function writeFile(path: string, permissions: string, content: string): string {
  const lines = content.trimEnd().split("\n");
  return [
    `  - path: ${path}`,
    `    permissions: "${permissions}"`,
    "    content: |",
    ...lines.map((line) => (line === "" ? "" : `      ${line}`)),
  ].join("\n");
}

/** The volume. Nothing on it is a program. */
function renderMount({ volumeDevice }: BootSettings): string {
  return `[Unit]
Description=derpkit: the node's volume

[Mount]
What=${volumeDevice.replaceAll("%", "%%")}
Where=/var/lib/derpkit
Type=ext4
Options=noatime,nodev,nosuid,noexec
`;
}

/** Path-MTU errors are not answers to ping, and go on. */
const noEcho = "net.ipv4.icmp_echo_ignore_all = 1\nnet.ipv6.icmp.echo_ignore_all = 1\n";

const stage0Unit = `[Unit]
Description=derpkit: fetch, check and start what the region's manifest calls stage 1
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=/etc/derpkit/stage0.env
ExecStart=/usr/local/sbin/derpkit-stage0
# A machine that does not get further says why where its cloud shows it.
StandardOutput=journal+console
StandardError=journal+console
Restart=on-failure
RestartSec=15

[Install]
WantedBy=multi-user.target
`;
