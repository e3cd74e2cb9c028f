import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRelayConfig } from "../../relay/config/load.ts";
import { buildRelayConfig } from "./relay-config.ts";

const pinned = { certificates: "pinned", addresses: "", http: false, admission: {} } as const;

test("a relay on a machine of its own needs its name, and no port 80", () => {
  const config = buildRelayConfig({
    ...pinned,
    hostName: "901a.example.com",
    listen: ":443",
    stunPort: 3478,
  });
  assert.equal(JSON.stringify(config), '{"certMode":"pinned","hostname":"901a.example.com","httpPort":-1}');
});

test("what differs from the relay's defaults is written, keys sorted, and the relay takes it", () => {
  const config = buildRelayConfig({
    ...pinned,
    hostName: "a.example",
    listen: "127.0.0.1:20001",
    stunPort: 20002,
  });
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

test("a relay that is certified for its addresses is told them all, for its machine may not know them", () => {
  const config = buildRelayConfig({
    hostName: "203.0.113.7",
    listen: ":443",
    stunPort: 3478,
    certificates: "acme-ip",
    addresses: "203.0.113.7,2001:db8::1",
    http: true,
    admission: { verifyClientUrl: "https://headscale.example.com/verify" },
  });
  assert.equal(
    JSON.stringify(config),
    '{"acmeIps":"203.0.113.7,2001:db8::1","certMode":"acme-ip","hostname":"203.0.113.7",' +
      '"verifyClientUrl":"https://headscale.example.com/verify"}',
  );
  const { certMode, httpPort, verifyClientUrlFailOpen } = parseRelayConfig(JSON.stringify(config), {});
  assert.deepEqual([certMode, httpPort, verifyClientUrlFailOpen], ["acme-ip", 80, false]);
});

test("a relay that admits by list or by the tailnet's devices, or limits its clients, is told where the files are, and no secret", () => {
  const config = buildRelayConfig({
    ...pinned,
    hostName: "a.example",
    listen: ":443",
    stunPort: 3478,
    admission: { allow: [], tailnetApi: { clientId: "kReader", secret: "reader" } },
    clientRate: { bytesPerSecond: 1_000 },
  });
  assert.deepEqual(config, {
    admissionApiClientId: "kReader",
    admissionApiSecretFile: "/run/credentials/derpkit-relay.service/tailnet-api",
    admissionList: "/opt/derpkit/current/allow-list.txt",
    certMode: "pinned",
    hostname: "a.example",
    httpPort: -1,
    rateConfig: "/opt/derpkit/current/rate-config.json",
  });
  assert.equal(parseRelayConfig(JSON.stringify(config), {}).admissionApiClientId, "kReader");
});

test("a relay of several is told of the others, and where its mesh key and its token are", () => {
  const options = { ...pinned, hostName: "a.example", listen: ":443", stunPort: 3478, meshWith: "b.example" };
  const config = buildRelayConfig({ ...options, mesh: "keys", statusToken: "token" });
  assert.equal(
    JSON.stringify(config),
    '{"certMode":"pinned","hostname":"a.example","httpPort":-1,' +
      '"meshPskFile":"/run/credentials/derpkit-relay.service/mesh-key","meshWith":"b.example",' +
      '"statusTokenFile":"/run/credentials/derpkit-relay.service/status-token"}',
  );
  assert.equal(parseRelayConfig(JSON.stringify(config), {}).meshWith, "b.example");
  const onMachine = buildRelayConfig({ ...options, statusToken: "token", updaterStatusFile: "/run/x.json" });
  assert.equal(onMachine.drainingFile, "/opt/derpkit/current/draining.txt");
  const local = buildRelayConfig({ ...options, meshKeyFile: "../../mesh-901.key" });
  assert.equal(local.meshPskFile, "../../mesh-901.key");
});
