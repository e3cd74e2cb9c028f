/** Where what was measured is kept. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { recordFile } from "../docs/performance.ts";
import { type BenchRecord, mergeRecords } from "./record.ts";

const root = path.join(import.meta.dirname, "../..");

/** What was measured last, of whatever kind: kept after each case, so that nothing stops it from being read. */
export const lastFile = path.join(homedir(), ".cache/derpkit/bench/last.json");

export async function keepLast(record: BenchRecord): Promise<void> {
  await mkdir(path.dirname(lastFile), { recursive: true });
  await writeFile(lastFile, renderRecord(record));
}

/**
 * Writes docs/performance.json.
 *
 * @param whole true if every case was measured on every relay: then nothing of before is kept
 * @returns false if what is there is of another machine or of other programs, and this is not the whole
 */
export async function writeRecord(record: BenchRecord, whole: boolean): Promise<boolean> {
  const file = path.join(root, recordFile);
  const text = whole ? undefined : await readFile(file, "utf8").catch(() => undefined);
  const merged = text === undefined ? record : mergeRecords(JSON.parse(text) as BenchRecord, record);
  if (merged === undefined) return false;
  await writeFile(file, renderRecord(merged));
  return true;
}

function renderRecord(record: BenchRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}
