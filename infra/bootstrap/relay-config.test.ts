import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRelayConfig } from "../../relay/config/load.ts";
import { buildRelayConfig } from "./relay-config.ts";

test("a relay on a machine of its own needs its name, and no port 80", () => {
  const config = buildRelayConfig({ hostName: "901a.example.com", listen: ":443", stunPort: 3478 });
  assert.equal(JSON.stringify(config), '{"certMode":"pinned","hostname":"901a.example.com","httpPort":-1}');
});

test("what differs from the relay's defaults is written, keys sorted, and the relay takes it", () => {
  const config = buildRelayConfig({ hostName: "a.example", listen: "127.0.0.1:20001", stunPort: 20002 });
  assert.equal(
    JSON.stringify(config),
    '{"certMode":"pinned","hostname":"a.example","httpPort":-1,"listen":"127.0.0.1:20001","stunPort":20002}',
  );
  const { listen, stunPort, certDir } = parseRelayConfig(JSON.stringify(config), {});
  assert.deepEqual(
    { listen, stunPort, certDir },
    { listen: "127.0.0.1:20001", stunPort: 20002, certDir: "certs" },
  );
});
