import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { askStun } from "../client/stun.ts";
import { giveUdp } from "../testing/passed-sockets.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { hasInode, typeOfPassed } from "./passed-socket.ts";
import { createStunCounters, startStunServer } from "./server.ts";

const skip = process.platform === "linux" ? false : "sockets are passed on Linux alone";

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

test(
  "a passed socket is spoken to in its own family; what the system does not tell of is IPv6's",
  { skip },
  () => {
    assert.equal(typeOfPassed(giveUdp("127.0.0.1").fd), "udp4");
    assert.equal(typeOfPassed(1_000_000), "udp6");
  },
);

test(
  "a passed socket that cannot be read is kept, and its faults are counted and logged once a second",
  { skip },
  async (t) => {
    const sockets: Socket[] = [];
    const collect = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);
    subscribe("udp.socket", collect);
    t.after(() => unsubscribe("udp.socket", collect));
    const { fd, port } = giveUdp("127.0.0.1");
    const counters = createStunCounters();
    const log: string[] = [];
    await using server = await startStunServer({
      host: "192.0.2.1",
      port: 3_478,
      passed: fd,
      counters,
      log: (line) => void log.push(line),
    });
    assert.equal(server.address.port, port);
    for (let time = 0; time < 3; time++) sockets[0]?.emit("error", new Error("recvmsg ENOMEM"));
    const { local, mapped } = await askStun({ address: "127.0.0.1", port }, t.signal);
    assert.deepEqual(mapped, local);
    assert.deepEqual([counters.readError, counters.success], [3, 1]);
    assert.deepEqual(log, ["STUN cannot read, and goes on: recvmsg ENOMEM"]);
  },
);

test("what is no UDP socket is refused, and the error names the descriptor", { skip }, async (t) => {
  const fd = openSync(join(temporaryFolder(t), "file"), "w");
  t.after(() => closeSync(fd));
  const options = { host: undefined, port: 0, passed: fd, counters: createStunCounters(), log: () => {} };
  await assert.rejects(startStunServer(options), {
    code: "listen-failed",
    message: `STUN cannot use the socket that is passed as descriptor ${fd}.`,
  });
});
