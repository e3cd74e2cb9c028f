/**
 * A process that takes a lock again and again, and writes to a log when it has it and when it lets go.
 *
 *     node contender.ts LOCK LOG TIMES
 *
 * With TIMES 0 it takes the lock once and keeps it until it is ended. It says `held` each time.
 */
import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { acquire } from "../lock.ts";

const [, , folder = "", log = "", times = "0"] = process.argv;
const forever = new AbortController().signal;
/** Looks often; nobody is to wait for a second. */
const clock = {
  sleep: (ms: number, signal: AbortSignal) => setTimeout(Math.min(ms, 3), undefined, { signal }),
};

for (let round = 0; round < Math.max(Number(times), 1); round += 1) {
  await using lock = await acquire(folder, forever, clock);
  appendFileSync(log, `takes ${process.pid}\n`);
  process.stdout.write("held\n");
  await setTimeout(times === "0" ? 600_000 : 1);
  if (!(await lock.stillHeld())) appendFileSync(log, `lost ${process.pid}\n`);
  appendFileSync(log, `gives ${process.pid}\n`);
}
