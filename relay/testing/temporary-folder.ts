/** A place on the disk for one test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A test's context, or the `after` of a file's tests. */
interface Scope {
  after(hook: () => void): void;
}

/** Makes an empty folder that is gone after the test. */
export function temporaryFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "derpkit-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
