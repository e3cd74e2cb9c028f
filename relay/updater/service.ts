/** What the updater asks of whatever runs the relay: a child process on a workstation, systemd on a VM. */

/** A release on this machine. Each of its files had the digest that the signed manifest gives. */
export interface Release {
  /** SHA-256 of the release's own list of files, lower-case hex: its name, and that of its folder. */
  readonly digest: string;
  /** The relay's version, for people. */
  readonly version: string;
  /** Absolute path of `releases/<digest>`. */
  readonly folder: string;
  /** Absolute path of the `relay.mjs` in it. */
  readonly code: string;
  /** Absolute path of the node's configuration in it. */
  readonly config: string;
  /** SHA-256 of `relay.mjs`, lower-case hex: what /healthz of this release says as `bundle`. */
  readonly sha256: string;
  /** Releases that agree in it differ only in files that a relay which runs reads again (release.ts). */
  readonly processDigest: string;
}

/**
 * The relay as a service. The updater makes one call at a time and awaits it, but for `stop`, which the owner of the
 * service may call whenever the updater has been stopped.
 */
export interface Service {
  /**
   * Makes ready what `release` needs besides its files, before `current` leads to it. Another release may run meanwhile.
   *
   * @throws KitError if that cannot be had
   */
  prepare?(release: Release): Promise<void>;

  /**
   * Makes `release` the one that runs, in the place of any other. Resolves once the one before has ended and this one
   * has been started; it need not be healthy yet. Does nothing if this very release runs already. A process of a release
   * with the same `processDigest` may go on, with its clients, and is told to read its files again, which it finds by
   * `current`.
   *
   * @throws KitError if it cannot be started
   */
  start(release: Release): Promise<void>;

  /**
   * Resolves when the relay that was started answers /healthz with `ok` and with the bundle `release.sha256`.
   *
   * @param signal aborted when the updater has waited long enough or is stopped; the promise then has to settle soon
   * @throws KitError `relay-exited` at once when the process has ended, whatever else keeps it from becoming healthy
   *   as soon as that is certain, and `relay-not-ready` (or the signal's reason) after an abort
   */
  healthy(release: Release, signal: AbortSignal): Promise<void>;

  /** Ends the relay and resolves when it has ended. Does nothing if none runs. */
  stop(): Promise<void>;
}
