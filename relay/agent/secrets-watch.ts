/** Has a relay that runs take up secrets that are newer than those it was started with. */
import { KitError } from "../errors.ts";
import type { ObtainedSecrets } from "./obtain-secrets.ts";

export interface SecretsWatchOptions {
  /** The credentials that the relay's unit wants sealed; none if its secrets come by another way. */
  readonly names: () => Promise<readonly string[]>;
  readonly obtain: (signal: AbortSignal) => Promise<ObtainedSecrets>;
  /** Whether the relay was started with these values. */
  readonly isInPlace: (names: readonly string[], secrets: ReadonlyMap<string, string>) => Promise<boolean>;
  /** Starts the relay again, which puts the newest secrets in place, and waits until it is healthy. */
  readonly restart: (signal: AbortSignal) => Promise<void>;
  readonly log: (line: string) => void;
}

export interface SecretsStatus {
  /** Of those that were accepted last; undefined before the first. */
  readonly sequence: number | undefined;
  /** Why the relay does not have what is delivered; empty if it does. */
  readonly refusals: readonly KitError[];
}

export class SecretsWatch {
  readonly #options: SecretsWatchOptions;
  #sequence: number | undefined;
  #refusal: KitError | undefined;
  /** What came of the last restart, and for which secrets that was: for the same ones there is no second. */
  #restarted: { readonly sequence: number; readonly failure: KitError | undefined } | undefined;

  constructor(options: SecretsWatchOptions) {
    this.#options = options;
  }

  get status(): SecretsStatus {
    const refusals = [this.#refusal, this.#restarted?.failure].filter((error) => error !== undefined);
    return { sequence: this.#sequence, refusals };
  }

  /**
   * Looks once. What goes wrong is logged once and said by the status; the relay goes on with what it has.
   *
   * @param isRunning false while no release runs that was healthy: its next start finds the secrets by itself
   */
  async round(isRunning: boolean, signal: AbortSignal): Promise<void> {
    try {
      await this.#look(isRunning, signal);
    } catch (error) {
      if (!(error instanceof KitError)) throw error;
      this.#refuse(error);
    }
  }

  async #look(isRunning: boolean, signal: AbortSignal): Promise<void> {
    const { names: findNames, obtain, isInPlace, log } = this.#options;
    const names = await findNames();
    if (names.length === 0) {
      this.#sequence = undefined;
      this.#restarted = undefined;
      return this.#refuse(undefined);
    }
    const { held, refusal } = await obtain(signal);
    this.#sequence = held?.sequence;
    this.#refuse(refusal);
    if (held === undefined || !isRunning || this.#restarted?.sequence === held.sequence) return;
    if (await isInPlace(names, held.secrets)) return;
    log(`secrets ${held.sequence} are new: the relay is started again`);
    const failure = await this.#restart(() => isInPlace(names, held.secrets), signal);
    this.#restarted = { sequence: held.sequence, failure };
    log(failure === undefined ? `secrets ${held.sequence} are in place` : describe(failure));
  }

  async #restart(isDone: () => Promise<boolean>, signal: AbortSignal): Promise<KitError | undefined> {
    try {
      await this.#options.restart(signal);
    } catch (error) {
      if (error instanceof KitError) return error;
      throw error;
    }
    if (await isDone()) return undefined;
    return new KitError("relay-not-ready", {
      message: "The relay was started again without its new secrets.",
    });
  }

  #refuse(refusal: KitError | undefined): void {
    const isNews = refusal !== undefined && describe(refusal) !== (this.#refusal && describe(this.#refusal));
    this.#refusal = refusal;
    if (isNews) this.#options.log(describe(refusal));
  }
}

function describe({ code, message, where }: KitError): string {
  return `secrets refused: ${where === undefined ? "" : `${where}: `}${message} [${code}]`;
}
