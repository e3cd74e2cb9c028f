/** Statements 114 and 122: what a relay makes of clients elsewhere. */
import assert from "node:assert/strict";
import timers from "node:timers/promises";
import { join } from "./client.ts";
import { type Answer, ask, get, openTls, readAnswer } from "./http.ts";
import { Incoming } from "./incoming.ts";
import { metricsBecome, readMetrics } from "./metrics.ts";
import { startOwnNetwork, whyNoNetwork } from "./own-network.ts";
import { ownRelay, perRelay } from "./suite.ts";

const elsewhere = { skip: whyNoNetwork() };

perRelay(
  "114. Given `/debug/varz` from loopback, 100.64.0.0/10, an allowed CIDR, then 200; from elsewhere, or with `X-Forwarded-For`, then 403 `debug access denied`.",
  elsewhere,
  async (t, kind) => {
    const network = await startOwnNetwork(t);
    const relay = await ownRelay(t, kind, { address: "" });
    const lenient = await ownRelay(t, kind, {
      address: "",
      env: { TS_DEBUG_TRUSTED_CIDRS: "192.0.2.0/24,198.18.0.0/15" },
    });
    const request = get("/debug/varz");
    const askFrom = async (route: typeof network.stranger, of: typeof relay): Promise<Answer> => {
      const socket = await openTls(of, { socket: await network.dial(route, of.derpPort) });
      socket.write(request);
      return await readAnswer(new Incoming(socket), "GET");
    };
    assert.equal((await ask(relay, request)).statusLine, "HTTP/1.1 200 OK");
    assert.equal((await askFrom(network.tailnet, relay)).statusLine, "HTTP/1.1 200 OK");
    assert.equal((await askFrom(network.stranger, lenient)).statusLine, "HTTP/1.1 200 OK");
    const refused = [
      await askFrom(network.stranger, relay),
      await ask(relay, get("/debug/varz", ["X-Forwarded-For: 192.0.2.1"])),
    ];
    for (const { statusLine, body } of refused) {
      assert.equal(statusLine, "HTTP/1.1 403 Forbidden");
      assert.equal(body, "debug access denied\n");
    }
  },
);

perRelay(
  "122. Given a client whose network was black-holed without a word, then it is gone within 85 s (6.9).",
  { ...elsewhere, slow: true },
  async (t, kind) => {
    const network = await startOwnNetwork(t);
    const relay = await ownRelay(t, kind, { address: "" });
    const place = { t, relay };
    const [lost, bystander] = [
      await join(place, { tls: { socket: await network.dial(network.stranger, relay.derpPort) } }),
      await join(place, { info: '{"version":2}' }),
    ];
    bystander.send(lost, "are you there?");
    await lost.receives(bystander, "are you there?");
    await metricsBecome(relay, { derp_current_connections: 2 });
    await network.cut();
    const cut = performance.now();
    const seconds = (): number => (performance.now() - cut) / 1_000;
    while ((await readMetrics(relay)).get("derp_current_connections") === 2) {
      assert.ok(seconds() < 85, "it is still connected");
      await timers.setTimeout(500);
    }
    t.diagnostic(`it was gone after ${seconds().toFixed(1)} s`);
    await bystander.sync();
  },
);
