/** The relay's process: command line and signals in, exit status out. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { readText } from "./config/files.ts";
import { parseFlags, renderUsage } from "./config/flags.ts";
import { parseRelayConfig } from "./config/load.ts";
import { usualStateDirectory } from "./config/usual-places.ts";
import { KitError, renderError } from "./errors.ts";
import { type Relay, startRelay } from "./relay.ts";
import { takePassedSockets } from "./systemd/activation.ts";
import { createNotifier } from "./systemd/notify.ts";
import { perlSender } from "./systemd/perl-sender.ts";
import { bundled, version } from "./version.ts";

/** A process that does not manage to stop in time is ended. */
const stopWithinMs = 5_000;

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), process.cwd());
  if (flags.help) return void process.stdout.write(`${renderUsage()}\n`);
  if (flags.version) return void process.stdout.write(`${version}\n`);
  const sockets = takePassedSockets(process.env, process.pid);
  using systemd = createNotifier(process.env, {
    pid: process.pid,
    startSender: perlSender(process.env["PATH"]),
    log,
  });
  const text =
    flags.config === undefined ? undefined : await readText(flags.config, "The config file cannot be read.");
  const config = parseRelayConfig(text, flags.options, flags.config);
  const [first] = flags.ignored;
  if (first !== undefined)
    log(`ignored, as derper does: ${JSON.stringify(first)}, which is no flag, and all behind it`);
  process.on("SIGHUP", () => {}); // Also while it starts; derper dies of it (repair Q10).
  const stop = stopRequest(config.exitOnStdinEnd);
  let started = false;
  // A start may wait for others, such as a server that holds the mesh key.
  void stop.then(() => started || process.exit(0));
  const relay = await startRelay(config, {
    stateDirectory: usualStateDirectory(process) ?? process.cwd(),
    version,
    bundle: await ownDigest(),
    log,
    env: process.env,
    sockets,
  });
  started = true;
  const serving = `serves ${config.hostname} ${describeListeners(relay)}`;
  log(`derpkit relay ${version} ${serving}`);
  systemd.ready(serving);
  process.on("SIGHUP", () => void relay.reload());
  const { reason, again } = await stop;
  systemd.stopping();
  log(`${reason}: stopping`);
  if (relay.core.size > 0) log(`${relay.core.size} connections are closed over ${config.drain}`);
  await relay.drain(again);
  setTimeout(() => process.exit(1), stopWithinMs).unref();
  await relay[Symbol.asyncDispose]();
  process.exit(0); // Standard input may still be open.
}

function describeListeners({ tls, derpPort, stunPort }: Relay): string {
  const stun = stunPort === undefined ? "no STUN" : `STUN on UDP ${stunPort}`;
  return `with ${tls ? "TLS" : "plain HTTP"} on TCP ${derpPort}, ${stun}`;
}

/** The digest of the file that runs: what a gate compares with the bundle it has published. */
async function ownDigest(): Promise<string | null> {
  if (!bundled) return null;
  return createHash("sha256")
    .update(await readFile(import.meta.filename))
    .digest("hex");
}

/** What asked the process to stop, and a signal that is aborted when it is asked again. */
interface StopRequest {
  readonly reason: string;
  readonly again: AbortSignal;
}

/** Resolves with the first request. The end of standard input asks urgently: whoever started this process is gone. */
function stopRequest(onStdinEnd: boolean): Promise<StopRequest> {
  return new Promise((resolve) => {
    const again = new AbortController();
    let asked = false;
    const ask = (reason: string, urgent: boolean): void => {
      if (asked || urgent) again.abort();
      asked = true;
      resolve({ reason, again: again.signal });
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => ask(signal, false));
    if (!onStdinEnd) return;
    const ended = (): void => ask("end of standard input", true);
    process.stdin.on("end", ended).on("close", ended).on("error", ended).resume();
  });
}

/** A line on standard error with date and time, as derper's log has it. */
function log(line: string): void {
  const time = new Date().toISOString().slice(0, 19).replaceAll("-", "/").replace("T", " ");
  process.stderr.write(`${time} ${line}\n`);
}

try {
  await main();
} catch (error) {
  log(renderError(error));
  if (error instanceof KitError && error.code === "usage") process.stderr.write(`${renderUsage()}\n`);
  // As derper: 2 is for the command line alone.
  process.exit(error instanceof KitError && error.code === "usage" ? 2 : 1);
}
