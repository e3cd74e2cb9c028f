import assert from "node:assert/strict";
import { test } from "node:test";
import { renderSystemFiles } from "./system-files.ts";

function rebootTime(node: string): string {
  const [, time = ""] = /Reboot-Time "(\d\d:\d\d)"/.exec(renderSystemFiles(node).get("apt.conf") ?? "") ?? [];
  return time;
}

test("each node restarts at a minute of its own between two and five, always the same", () => {
  const times = ["901a", "901b", "901c", "902a", "902b"].map(rebootTime);
  assert.equal(new Set(times).size, times.length);
  for (const time of times) assert.match(time, /^0[2-4]:[0-5]\d$/);
  assert.equal(rebootTime("901a"), times[0]);
});

test("logs are bounded, and security updates are on", () => {
  const files = renderSystemFiles("901a");
  assert.match(files.get("journald.conf") ?? "", /^\[Journal\]\nSystemMaxUse=200M$/m);
  assert.match(files.get("apt.conf") ?? "", /Unattended-Upgrade "1";/);
});
