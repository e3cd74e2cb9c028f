/** The tests beside the code of what systemd and the status page need, under Bun. */
import { testOnBun } from "./own-tests-on-bun.ts";

testOnBun([
  "net/listen",
  "net/status-page",
  "relay-routes",
  "status/relay-status",
  "status/token",
  "status/updater-file",
  "status/updater-status",
  "stun/server",
  "systemd/activation",
  "systemd/notify",
]);
