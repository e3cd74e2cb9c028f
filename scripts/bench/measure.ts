/** Measures one case on every relay, in turn, round by round. */
import type { Case } from "./cases.ts";
import { RunFailed, type Values } from "./derpbench.ts";
import type { ServerKind } from "./figures.ts";
import { planRuns } from "./plan.ts";
import type { Outcome } from "./record.ts";
import { runCase, type Tools } from "./run-case.ts";
import { startSlowLink } from "./slow-link.ts";
import { type Server, type ServerFiles, startMesh, startServer } from "./server.ts";

export interface MeasureOptions extends Omit<Tools, "enter"> {
  /** What runs each kind of relay. */
  readonly programs: ReadonlyMap<ServerKind, string>;
  readonly files: ServerFiles;
  readonly rounds: number;
  /** Is told what goes on. */
  readonly progress: (text: string) => void;
}

/**
 * Measures a case. A relay that fails is left out of the further rounds.
 *
 * @throws the signal's reason if it aborts first
 */
export async function measureCase(
  { work, fresh }: Case,
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<Partial<Record<ServerKind, Outcome>>> {
  const { programs, rounds, progress } = options;
  const values = new Map<ServerKind, Values[]>([...programs.keys()].map((kind) => [kind, []]));
  const failures = new Map<ServerKind, string>();
  const slow = work.kind === "throttled" && work.by === "link" ? work.receivedPerSecond : undefined;
  await using link = slow === undefined ? undefined : await startSlowLink(slow, signal);
  const tools = { ...options, enter: link?.enter ?? ((command: readonly string[]) => command) };
  await using servers = new Servers(tools, fresh, work.kind === "mesh" ? startMesh : startServer);
  for (const { round, server: kind } of planRuns([...programs.keys()], rounds)) {
    if (failures.has(kind)) continue;
    progress(`round ${round} of ${rounds}, ${kind}`);
    try {
      values.get(kind)?.push(await runCase(work, await servers.get(kind, signal), tools, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RunFailed)) throw error;
      failures.set(kind, error.message);
    }
  }
  const outcomes = [...values].map(([kind, own]) => {
    const failure = failures.get(kind);
    return [kind, { rounds: own, ...(failure === undefined ? {} : { failure }) }] as const;
  });
  return Object.fromEntries(outcomes);
}

/** The relays of a case: one of each kind for all its rounds, or each time a fresh one. */
class Servers implements AsyncDisposable {
  readonly #options: MeasureOptions & Tools;
  readonly #fresh: boolean;
  readonly #start: typeof startServer;
  readonly #running = new Map<ServerKind, Server>();

  constructor(options: MeasureOptions & Tools, fresh: boolean, start: typeof startServer) {
    this.#options = options;
    this.#fresh = fresh;
    this.#start = start;
  }

  async get(kind: ServerKind, signal: AbortSignal): Promise<Server> {
    // No other relay's work goes on while the memory of one is looked at.
    if (this.#fresh) await this[Symbol.asyncDispose]();
    const running = this.#running.get(kind);
    if (running !== undefined) return running;
    const { programs, ...options } = this.#options;
    const server = await this.#start({ ...options, kind, program: programs.get(kind) ?? "" }, signal);
    this.#running.set(kind, server);
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((server) => server[Symbol.asyncDispose]()));
    this.#running.clear();
  }
}
