/**
 * The relay as a service of systemd. Its sockets are units of their own: they stay open while one release takes the place
 * of another, so that nobody is refused meanwhile.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { describeError } from "../client/dial.ts";
import { writeWhole } from "../config/files.ts";
import { KitError } from "../errors.ts";
import { identifyRelease } from "../updater/machine.ts";
import type { Release, Service } from "../updater/service.ts";
import { askRelay, parseAskedConfig } from "./health.ts";
import { relayUnit } from "./places.ts";
import { prepareRuntime } from "./runtime.ts";
import { runTool, type Systemctl } from "./systemctl.ts";
import { installSystemFiles } from "./system-files.ts";
import { installUnits } from "./unit-files.ts";

/** The updater's own units, which a release brings as well; it takes over when the relay has proven itself. */
export const updaterUnit = "derpkit-updater.service";
/** Of stage 0, in no release. */
const stage0Units = new Set(["derpkit-stage0.service"]);

export interface SystemdServiceOptions {
  /** The node's name: its units' folder in a release, and who is meant in messages. */
  readonly node: string;
  /** Where systemd reads units. */
  readonly unitFolder: string;
  /** Where the system's own settings are. */
  readonly etc: string;
  /** Where unpacked runtimes are kept. */
  readonly runtimes: string;
  /** A file that says which release's files the relay has; the unit writes it too, and it is gone with the machine's start. */
  readonly runningFile: string;
  readonly systemctl: Systemctl;
}

/** The relay has to answer well so many times, so far apart: what dies of its first clients is not healthy. */
const goodAnswers = 3;
const askEveryMs = 1_000;
const answerWithinMs = 5_000;
/** Lines of the relay's log that are shown if it dies. */
const shownLines = 12;

const anyone = createSecureContext({ minVersion: "TLSv1.2" });

/** Makes the service of this machine's node. */
export function createSystemdService(options: SystemdServiceOptions): Service {
  const { node, unitFolder, etc, runtimes, runningFile, systemctl } = options;

  /** Its last look at the relay did not end well: it is started anew rather than told something. */
  let isAiling = false;

  async function isActive(): Promise<boolean> {
    return (await systemctl("is-active", "--quiet", relayUnit)).ok;
  }

  /** The folder of the release that runs; undefined if none does. */
  async function findRunning(): Promise<string | undefined> {
    const from = (await readFile(runningFile, "utf8").catch(() => "")).trim();
    return from !== "" && (await isActive()) ? from : undefined;
  }

  /**
   * Has a relay that differs from `release` only in files that it reads again read them. Should this process end before that
   * is noted, they are read once more.
   *
   * @returns false if the relay has to be started
   */
  async function reload(release: Release, from: string): Promise<boolean> {
    if (isAiling || (await identifyRelease(from))?.processDigest !== release.processDigest) return false;
    if (!(await systemctl("reload", relayUnit)).ok) return false;
    await writeWhole(runningFile, `${release.folder}\n`, 0o644);
    return true;
  }

  return {
    prepare: ({ folder }) => prepareRuntime(folder, runtimes),
    async start(release) {
      const units = path.join(release.folder, "units", node);
      const { written, removed } = await installUnits(units, unitFolder, stage0Units);
      for (const [program = "", ...args] of await installSystemFiles(
        path.join(release.folder, "system", node),
        etc,
      )) {
        await runTool(program, args);
      }
      if (written.length + removed.length > 0) await systemctl("daemon-reload");
      await announce(written, removed);
      const changed = [...written, ...removed].filter((unit) => unit !== updaterUnit);
      const running = changed.length === 0 ? await findRunning() : undefined;
      if (running === release.folder) return;
      if (running !== undefined && (await reload(release, running))) return;
      // A socket that changed cannot be taken over by a relay that runs.
      const sockets = written.filter((unit) => unit.endsWith(".socket"));
      if (sockets.length > 0) {
        await systemctl("stop", relayUnit);
        await systemctl("stop", ...sockets);
      }
      // Starts that failed count against those to come.
      await systemctl("reset-failed", relayUnit);
      const { ok, text } = await systemctl("restart", relayUnit);
      if (!ok) throw await died(text);
    },
    async healthy(release, signal) {
      isAiling = true;
      const config = parseAskedConfig(await readFile(release.config, "utf8"));
      let reason: unknown;
      for (let good = 0; !signal.aborted;) {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
        try {
          await askRelay(config, release.sha256, anyone, limit);
          if (++good >= goodAnswers) {
            isAiling = false;
            return;
          }
        } catch (error) {
          reason = error;
          good = 0;
          if (!(await isActive())) throw await died("");
        }
        await sleep(askEveryMs, undefined, { signal }).catch(() => {});
      }
      throw new KitError("relay-not-ready", {
        where: `node ${node}`,
        message: `The relay is not healthy: ${describeError(reason)}.`,
        cause: reason,
      });
    },
    async stop() {
      await systemctl("stop", relayUnit);
    },
  };

  /** Has the machine's next start begin with these units too. Those that only others start say so, and nothing is done. */
  async function announce(written: readonly string[], removed: readonly string[]): Promise<void> {
    for (const unit of removed) await systemctl("disable", "--now", unit);
    if (written.length === 0) return;
    await systemctl("enable", ...written);
    const timers = written.filter((unit) => unit.endsWith(".timer"));
    if (timers.length > 0) await systemctl("restart", ...timers);
  }

  async function died(said: string): Promise<KitError> {
    const { text } = await runTool("journalctl", [
      `--unit=${relayUnit}`,
      `--lines=${shownLines}`,
      "--output=cat",
      "--no-pager",
    ]);
    const lines = [said, text]
      .join("\n")
      .split("\n")
      .filter((line) => line.trim() !== "");
    return new KitError("relay-exited", {
      where: `node ${node}`,
      message: "The relay does not run.",
      problems: [{ path: "it said", message: `\n    ${lines.join("\n    ")}` }],
    });
  }
}
