/** The relay's probes of itself, put together: what the listeners ask of them, and what they ask of the listeners. */
import { X509Certificate } from "node:crypto";
import { isIP, type Socket } from "node:net";
import type { CertificateSource } from "./certificates/source.ts";
import type { RelayCore } from "./core/core.ts";
import type { Gate } from "./core/session-context.ts";
import { HealthState } from "./health/health-state.ts";
import { OwnProbes } from "./health/own-probes.ts";
import { createProbes } from "./health/probes.ts";
import { startSelfProbe } from "./health/self-probe.ts";
import type { DerpServer } from "./net/derp-server.ts";
import type { Health } from "./net/http-answers.ts";
import type { Settings } from "./settings.ts";
import type { StunServer } from "./stun/server.ts";

export interface SelfProbesOptions {
  readonly log: (line: string) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds between the rounds; 5 s by default. */
  readonly everyMs: number | undefined;
}

export interface SelfProbeTargets {
  readonly derp: DerpServer;
  /** Undefined if the main listener does no TLS. */
  readonly certificates: CertificateSource | undefined;
  readonly stun: StunServer | undefined;
  readonly core: RelayCore;
}

export interface SelfProbes {
  readonly health: HealthState;
  /** Lets the probes in. */
  readonly gate: Gate;
  /** True while STUN answers nobody but the probes. */
  readonly isSilent: () => boolean;
  readonly isOwnDatagram: (address: string, port: number) => boolean;
  readonly isOwnConnection: (peer: Pick<Socket, "remoteAddress" | "remotePort">) => boolean;
  /** What /healthz says. What stops is not unhealthy, whatever it last found. */
  describe(about: Pick<Health, "version" | "bundle">, stopping: boolean): Health;
  /** Has the probes ask, until it is disposed of; undefined without the option. */
  start(targets: SelfProbeTargets): AsyncDisposable | undefined;
}

export function createSelfProbes({ config }: Settings, options: SelfProbesOptions): SelfProbes {
  const health = new HealthState();
  const own = new OwnProbes(options.now);
  return {
    health,
    gate: own.createGate(),
    isSilent: () => health.failing.length > 0,
    isOwnDatagram: (address, port) => own.recognise("udp", address, port),
    isOwnConnection: ({ remoteAddress, remotePort }) => own.recognise("tcp", remoteAddress, remotePort),
    describe(about, stopping) {
      const { failing } = health;
      if (stopping) return { ok: false, ...about, state: "stopping" };
      if (failing.length > 0) return { ok: false, ...about, state: "unhealthy", failing };
      return { ok: true, ...about, state: "serving" };
    },
    start({ derp, certificates, stun, core }) {
      if (!config.selfProbe) return undefined;
      const probes = createProbes({
        own,
        https: derp.address,
        hostName: config.hostname,
        leaf: certificates && ((localAddress) => findLeaf(certificates, config.hostname, localAddress)),
        relayKey: config.derp ? core.publicKey : undefined,
        stun: stun?.address,
      });
      return startSelfProbe({ ...options, probes, health });
    },
  };
}

/** DER of what a client is shown that asks for the host name, as far as there is anything yet. */
function findLeaf(
  certificates: CertificateSource,
  hostname: string,
  localAddress: string,
): Uint8Array | undefined {
  const found = certificates.find({ servername: isIP(hostname) === 0 ? hostname : undefined, localAddress });
  return found === undefined || found instanceof Promise ? undefined : new X509Certificate(found.chain).raw;
}
