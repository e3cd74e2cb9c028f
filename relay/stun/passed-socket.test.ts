import assert from "node:assert/strict";
import { test } from "node:test";
import { hasInode } from "./passed-socket.ts";

/** /proc/PID/net/udp of Linux 6.12: one socket on 127.0.0.1:3478, one on every address. */
const table = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  417: 0100007F:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 51234 2 0000000000000000 0
 1066: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000   105        0 9876 2 0000000000000000 0
`;

test("a socket is found in the table by its inode, and by nothing else in a row", () => {
  assert.equal(hasInode(table, 51_234), true);
  assert.equal(hasInode(table, 9_876), true);
  for (const other of [105, 2, 0, 5_123, 417, 1_234]) assert.equal(hasInode(table, other), false, `${other}`);
  assert.equal(hasInode("", 51_234), false);
});
