/** What a machine's system is told besides the units: files of a release, each with a fixed place (relay/agent). Pure. */
import { createHash } from "node:crypto";

/** Files by the name that the updater knows their place by. */
export function renderSystemFiles(node: string): ReadonlyMap<string, string> {
  return new Map([
    ["sysctl.conf", sysctl],
    ["journald.conf", journald],
    ["apt.conf", renderApt(node)],
  ]);
}

/** Ten thousand clients, who may all come back at once. */
const sysctl = `# derpkit: many connections
net.core.somaxconn = 4096
net.ipv4.tcp_max_syn_backlog = 8192
net.core.netdev_max_backlog = 8192
net.core.rmem_max = 4194304
net.ipv4.tcp_fin_timeout = 15
net.ipv4.ip_local_port_range = 16384 65535
fs.file-max = 1048576
`;

/** A disk that logs have filled takes no release. */
const journald = `# derpkit: logs take so much and no more
[Journal]
SystemMaxUse=200M
SystemKeepFree=500M
MaxRetentionSec=1month
`;

/** Minutes from 2:00, UTC as clouds set their clocks: in so long a night no two nodes of a region need start at once. */
const nightMinutes = 180;

/**
 * Security updates by themselves, and a restart where one needs it, each node at its own minute of the night: the nodes of a
 * region are each other's way out.
 */
function renderApt(node: string): string {
  const minute = 120 + (createHash("sha256").update(node).digest().readUInt32BE() % nightMinutes);
  const time = [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
  return `// derpkit: security updates, and a restart of this node at a time of its own
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Automatic-Reboot "true";
Unattended-Upgrade::Automatic-Reboot-WithUsers "true";
Unattended-Upgrade::Automatic-Reboot-Time "${time}";
`;
}
