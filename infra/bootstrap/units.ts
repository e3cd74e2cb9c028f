/**
 * The units of a machine. They are files of a release, upgraded and gone back from with the relay.
 *
 * What they improve on: the sockets are systemd's, so that a restart refuses nobody and the relay needs no capability; a
 * relay that crashes again and again, or is stopped for good, closes them, so that clients go to the region's next
 * node, which they do only when nobody accepts; and a timer tries again each minute.
 */
import {
  credentialsFolder,
  currentFolder,
  relayUnit,
  renderSecretsArguments,
  runFolder,
  type SecretChannel,
  secretsUnit,
  updaterFile,
  updaterStateFolder,
} from "../../relay/agent/places.ts";

/** Fixed, because files on the volume outlive the machine that wrote them. */
export const relayUser = { name: "derpkit", id: 743 } as const;

export interface UnitSettings {
  /** TCP. */
  readonly derpPort: number;
  /** UDP. */
  readonly stunPort: number;
  /** True if TCP port 80 is the relay's too. */
  readonly http: boolean;
  /** Names of the credentials that the relay is given. */
  readonly credentials: readonly string[];
  /** How they reach the machine. */
  readonly secretChannel: SecretChannel;
}

const sockets = {
  derp: "derpkit-derp.socket",
  stun: "derpkit-stun.socket",
  http: "derpkit-http.socket",
} as const;

/** Renders the units of a node, by name. */
export function renderUnits(settings: UnitSettings): ReadonlyMap<string, string> {
  const { derpPort, stunPort, http } = settings;
  return new Map([
    [relayUnit, renderRelay(settings)],
    [sockets.derp, renderSocket("DERP", `ListenStream=${derpPort}`, "derp", stream)],
    [sockets.stun, renderSocket("STUN", `ListenDatagram=${stunPort}`, "stun", datagram)],
    ...(http ? [[sockets.http, renderSocket("HTTP", "ListenStream=80", "http", stream)] as const] : []),
    ...(settings.credentials.length === 0 ? [] : [[secretsUnit, renderSecrets(settings)] as const]),
    ["derpkit-updater.service", updater],
    ["derpkit-updater-back.service", updaterBack],
    ["derpkit-retry.service", renderRetry(http)],
    ["derpkit-retry.timer", retryTimer],
  ]);
}

const stream = "Backlog=4096\nNoDelay=yes\nKeepAlive=yes\n";
const datagram = "ReceiveBuffer=4M\n";

/** Clients of both families come to one socket. Whatever comes, systemd does not give up on it. */
function renderSocket(what: string, listen: string, name: string, more: string): string {
  return `[Unit]
Description=derpkit: ${what}

[Socket]
${listen}
BindIPv6Only=both
FileDescriptorName=${name}
Service=${relayUnit}
TriggerLimitIntervalSec=0
${more}
[Install]
WantedBy=sockets.target
`;
}

/** All sockets of a node, in the order in which they are opened. */
function socketsOf(http: boolean): string {
  return [sockets.derp, sockets.stun, ...(http ? [sockets.http] : [])].join(" ");
}

/**
 * Closes the sockets if the relay is to stay away. In its order the job would wait for the relay's end, and whoever had
 * been told to go would come back meanwhile, and wait for a relay that takes nobody.
 */
function renderClosing(own: string): string {
  return `+/bin/sh -c 'systemctl list-jobs --no-legend | grep -q "${relayUnit} *stop" && systemctl stop --no-block --job-mode=ignore-dependencies ${own} derpkit-retry.timer || true'`;
}

function renderRelay(settings: UnitSettings): string {
  const { http } = settings;
  const own = socketsOf(http);
  return `[Unit]
Description=derpkit: DERP relay
Wants=network-online.target ${own} derpkit-retry.timer
After=network-online.target ${own}
RequiresMountsFor=/var/lib/derpkit
${renderSecretsBefore(settings)}# Five starts in a minute, and its sockets are closed with it.
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=/etc/derpkit/stage0.env
ExecStartPre=+/bin/sh -c 'mkdir -p ${runFolder} && readlink -f ${currentFolder} >${runFolder}/running'
ExecStart=${currentFolder}/runtime/runtime ${currentFolder}/relay.mjs -config ${currentFolder}/config/\${DERPKIT_NODE}.json
ExecReload=+/bin/kill -HUP $MAINPID
# A stop for good closes the sockets, before the clients have to go; a restart leaves them open.
ExecStop=${renderClosing(own)}
# One that has not begun to serve has no ExecStop.
ExecStopPost=${renderClosing(own)}
Sockets=${own}
Restart=always
RestartSec=1
WatchdogSec=30
TimeoutStartSec=120
TimeoutStopSec=30
KillMode=mixed
${renderCredentials(settings)}
User=${relayUser.name}
Group=${relayUser.name}
StateDirectory=derpkit/relay
StateDirectoryMode=0700
UMask=0077

LimitNOFILE=262144
LimitCORE=0
MemoryHigh=75%
MemoryMax=85%
MemorySwapMax=0
TasksMax=128
OOMScoreAdjust=-500

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
PrivateIPC=yes
PrivateMounts=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
DevicePolicy=closed
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# The cloud's metadata: it may name the machine's role, which is not the relay's to take.
IPAddressDeny=169.254.169.254/32 fd00:ec2::254/128
InaccessiblePaths=-/boot -/etc/ssh -/var/log -/root
NoExecPaths=/
ExecPaths=/opt/derpkit /usr/bin/perl /usr/lib /lib -/lib64

[Install]
WantedBy=multi-user.target
`;
}

/** A relay that others seal to starts without secrets as well: its key has to be seen before there can be any. */
function renderSecretsBefore({ credentials, secretChannel }: UnitSettings): string {
  if (credentials.length === 0) return "";
  return `${secretChannel === "sealed" ? "Wants" : "Requires"}=${secretsUnit}\nAfter=${secretsUnit}\n`;
}

/** What is set is the default of what cannot be loaded: a line with nothing in it. */
function renderCredentials({ credentials, secretChannel }: UnitSettings): string {
  return credentials
    .map(
      (name) =>
        `LoadCredential=${name}:${credentialsFolder}/${name}\n` +
        (secretChannel === "sealed" ? `SetCredential=${name}:\\n\n` : ""),
    )
    .join("");
}

/** The sealed ones are opened with the key on the volume, and kept there as they came. */
const sealedMounts = `RequiresMountsFor=/var/lib/derpkit\n`;
const sealedService = `ReadWritePaths=-${updaterStateFolder}\nTimeoutStartSec=60\n`;

/** They are fetched or opened at each start of the relay, and are in clear in memory only. */
function renderSecrets({ credentials, secretChannel }: UnitSettings): string {
  const isSealed = secretChannel === "sealed";
  return `[Unit]
Description=derpkit: fetches the relay's secrets
Wants=network-online.target
After=network-online.target
${isSealed ? sealedMounts : ""}
[Service]
Type=oneshot
EnvironmentFile=/etc/derpkit/stage0.env
ExecStart=/opt/derpkit/updater/runtime/runtime /opt/derpkit/updater/${updaterFile} ${renderSecretsArguments(secretChannel, credentials)}
${isSealed ? sealedService : ""}\
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
RuntimeDirectory=derpkit
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
`;
}

const updater = `[Unit]
Description=derpkit: keeps the relay at what the region's signed manifest asks for
Wants=network-online.target
After=network-online.target
RequiresMountsFor=/var/lib/derpkit
StartLimitIntervalSec=600
StartLimitBurst=5
OnFailure=derpkit-updater-back.service

[Service]
EnvironmentFile=/etc/derpkit/stage0.env
ExecStart=/opt/derpkit/updater/runtime/runtime /opt/derpkit/updater/${updaterFile}
# Look for a release now.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
TimeoutStopSec=300
KillMode=mixed
UMask=0022
RuntimeDirectory=derpkit
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
MemoryHigh=320M
MemorySwapMax=0
TasksMax=64
NoNewPrivileges=yes
ProtectHome=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
PrivateTmp=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;

/** An updater that cannot even run cannot go back by itself. */
const updaterBack = `[Unit]
Description=derpkit: goes back to the updater before

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cd /opt/derpkit && test -L updater.previous && basename "$$(readlink updater)" >updater.failed && mv -T updater.previous updater'
ExecStart=/bin/sh -c 'systemctl reset-failed derpkit-updater.service && systemctl start --no-block derpkit-updater.service'
`;

/** After a crash loop or a full disk the relay is tried again; after a stop for good the timer is stopped as well. */
function renderRetry(http: boolean): string {
  return `[Unit]
Description=derpkit: starts the relay again if it has failed

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl is-active --quiet ${relayUnit} || { systemctl reset-failed ${relayUnit} ${socketsOf(http)}; systemctl start --no-block ${relayUnit}; }'
`;
}

const retryTimer = `[Unit]
Description=derpkit: looks each minute whether the relay has failed

[Timer]
OnActiveSec=60
OnUnitActiveSec=60
AccuracySec=5

[Install]
WantedBy=timers.target
`;
