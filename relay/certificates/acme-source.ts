/** The certificates that authorities issue, and who is shown which. */
import { createHash } from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import { type AcmeClient, createAcmeClient } from "../acme/client.ts";
import { normaliseIp } from "../ip-address.ts";
import type { AgentFor } from "../outbound/http.ts";
import type { AcmePlan, PlannedCertificate } from "./acme-plan.ts";
import { Challenges } from "./challenges.ts";
import type { Clock } from "./clock.ts";
import { type Keeper, startKeeper } from "./keeper.ts";
import { checkSelf } from "./self-check.ts";
import type { Asked, KeptSource, ListeningPorts } from "./source.ts";
import { openStore } from "./store.ts";

export interface AcmeSourceOptions {
  readonly plan: AcmePlan;
  /** Folder of the certificates; absolute. */
  readonly certDir: string;
  readonly agents: AgentFor;
  readonly userAgent: string;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Finds the addresses of a name, as other programs on this machine do. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
  readonly log: (line: string) => void;
}

/** Certificates that clients may cause to be ordered, by the name or address that they come to. */
const maxOnDemand = 32;
/** For as long a client waits for the first certificate; a listener waits no longer either. */
const worthWaitingMs = 15_000;

/** Nothing is asked for before it starts. */
export function createAcmeSource(options: AcmeSourceOptions): KeptSource {
  const { plan, clock } = options;
  const challenges = new Challenges();
  const keepers = new Map<string, Keeper>();
  const listeners: (() => void)[] = [];
  let ports: ListeningPorts | undefined;
  let isOver = false;

  return {
    challenges,
    onChange: (tell) => void listeners.push(tell),
    find: (asked) => {
      const keeper = findKeeper(asked);
      return keeper?.pair ?? (keeper !== undefined && isSoon(keeper) ? keeper.first : undefined);
    },
    start(listening) {
      ports = listening;
      for (const planned of plan.certificates) keep(planned);
      tellAll();
    },
    statuses: () => [...keepers.values()].map(({ status }) => status),
    async reload() {
      for (const keeper of keepers.values()) keeper.wake();
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all([...keepers.values()].map((keeper) => keeper[Symbol.asyncDispose]()));
    },
  };

  function tellAll(): void {
    for (const tell of listeners) tell();
  }

  function findKeeper({ servername, localAddress }: Asked): Keeper | undefined {
    if (servername === undefined || isIP(servername) !== 0) {
      return forAddress(normaliseIp(servername ?? localAddress ?? ""), servername === undefined);
    }
    const name = servername.toLowerCase();
    return keepers.get(name) ?? onDemand(plan.forName(name));
  }

  /**
   * A client without a name means the address that it came to. Behind NAT that is none that others know: it is then shown what
   * there is for the same family, or for the other.
   *
   * @param isMeant the address is this machine's; one that is only named causes no order
   */
  function forAddress(address: string | undefined, isMeant: boolean): Keeper | undefined {
    const exact = address === undefined ? undefined : keepers.get(address);
    if (exact !== undefined || !isMeant) return exact ?? namedIn(address);
    const planned = address === undefined ? undefined : plan.forAddress(address);
    if (planned !== undefined) return onDemand(planned);
    const [sameFamily, other] = [true, false].map((isSame) =>
      [...keepers].find(([name]) => isIP(name) !== 0 && (isIPv4(name) === isIPv4(address ?? "")) === isSame),
    );
    return (sameFamily ?? other)?.[1];
  }

  /** One certificate may name several addresses. */
  function namedIn(address: string | undefined): Keeper | undefined {
    const planned = plan.certificates.find(({ identifiers }) =>
      identifiers.some(({ value }) => value === address),
    );
    return planned && keepers.get(planned.identifiers[0].value);
  }

  function onDemand(planned: PlannedCertificate | undefined): Keeper | undefined {
    const mayGrow = keepers.size < plan.certificates.length + maxOnDemand;
    return planned !== undefined && ports !== undefined && mayGrow ? keep(planned) : undefined;
  }

  function keep(planned: PlannedCertificate): Keeper | undefined {
    if (isOver) return undefined;
    const [identifier] = planned.identifiers;
    const existing = keepers.get(identifier.value);
    if (existing !== undefined) return existing;
    const store = openStore(options.certDir, identifier);
    const clients = new Map<string, AcmeClient>();
    const keeper = startKeeper({
      planned,
      store,
      setting: { production: plan.directory.href, staging: plan.staging?.href },
      fingerprint: fingerprintOf(plan, planned),
      challenges,
      async clientOf(directory) {
        const client = clients.get(directory) ?? createClient(directory, await store.accountKey());
        clients.set(directory, client);
        return client;
      },
      check: ({ methods }, signal) =>
        checkSelf(identifier, methods, {
          challenges,
          ports: ports as ListeningPorts,
          resolve: options.resolve,
          signal,
        }),
      clock,
      random: options.random,
      log: options.log,
      changed: tellAll,
    });
    keepers.set(identifier.value, keeper);
    return keeper;
  }

  /** The binding is one of the real directory: others know nothing of it. */
  function createClient(
    which: "production" | "staging",
    accountKey: Parameters<typeof createAcmeClient>[0]["accountKey"],
  ): AcmeClient {
    const { agents, userAgent } = options;
    const directory = which === "production" ? plan.directory : (plan.staging ?? plan.directory);
    return createAcmeClient({
      directory,
      accountKey,
      email: plan.email,
      eab: directory === plan.directory ? plan.binding : undefined,
      agents,
      userAgent,
      sleep: (ms, signal) => clock.sleep(ms, signal),
      now: () => clock.now(),
    });
  }

  /** Whether a client may wait: the authority is being asked, or is about to be. */
  function isSoon({ status: { renewal } }: Keeper): boolean {
    const next = renewal?.next;
    return next === undefined || next.at - clock.now() < worthWaitingMs;
  }
}

/** The same for the same settings. The binding's key is no part of it: it is stored in clear. */
function fingerprintOf(plan: AcmePlan, planned: PlannedCertificate): string {
  const settings = [plan.directory, plan.staging, plan.email, plan.binding?.kid, planned];
  return createHash("sha256").update(JSON.stringify(settings)).digest("hex");
}
