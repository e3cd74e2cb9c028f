import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { generatePrivateKey, publicKeyOf } from "../crypto/keys.ts";
import { decodeBindingRequest, encodeBindingResponse } from "../stun/message.ts";
import { joinRelay, type RunningRelay, startBareRelay, startTestRelay } from "../testing/running-relay.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { OwnProbes } from "./own-probes.ts";
import { createProbes, type Probe, type ProbeTargets } from "./probes.ts";

const loopbacks = Object.values(networkInterfaces())
  .flatMap((list = []) => list.map(({ address }) => address))
  .filter((address) => address === "127.0.0.1" || address === "::1");
const [login, stun] = ["derp-login-ipv4", "stun-ipv4"] as const;
/** Short, and long enough for a login on a machine that is busy with tests. */
const probeEveryMs = 400;
const pollMs = 20;
const about = { version: "0.0.0", bundle: null };
const yearsMs = 11 * 365 * 86_400_000;

/** What a relay asks itself, asked by somebody whom it does not know. */
async function targetsOf({ relay, folder, hostName }: RunningRelay): Promise<ProbeTargets> {
  const leaf = new X509Certificate(await readFile(join(folder, "certs", `${hostName}.crt`))).raw;
  return {
    own: new OwnProbes(() => performance.now()),
    https: { address: "127.0.0.1", port: relay.derpPort },
    hostName,
    leaf: () => leaf,
    relayKey: relay.publicKey,
    stun: relay.stunPort === undefined ? undefined : { address: "127.0.0.1", port: relay.stunPort },
  };
}

function find(targets: ProbeTargets, name: string): Probe {
  const probe = createProbes(targets).find((candidate) => candidate.name === name);
  assert.ok(probe, `no probe ${name}`);
  return probe;
}

test("every listener is asked over each family that it has, and a relay that is right passes", async (t) => {
  const running = await startTestRelay(t, { listen: ":0", selfProbe: false });
  const targets = await targetsOf(running);
  const everywhere = (port: number) => ({ address: "::", port });
  const probes = createProbes({
    ...targets,
    https: everywhere(running.derpPort),
    stun: everywhere(running.stunPort),
  });
  const families = loopbacks.map((address) => (address === "::1" ? "ipv6" : "ipv4"));
  assert.deepEqual(
    probes.map(({ name }) => name).sort(),
    families.flatMap((family) => [`derp-login-${family}`, `stun-${family}`]).sort(),
  );
  for (const probe of probes) await probe.run(t.signal);
});

test("without DERP, TLS alone is asked, and without STUN nothing of it", async (t) => {
  const running = await startTestRelay(t, { derp: false, stun: false, selfProbe: false });
  const probes = createProbes({ ...(await targetsOf(running)), relayKey: undefined });
  assert.deepEqual(
    probes.map(({ name }) => name),
    ["tls-ipv4"],
  );
  for (const probe of probes) await probe.run(t.signal);
});

test("a relay that does no TLS is asked in clear", async (t) => {
  for (const derp of [true, false]) {
    const { relay } = await startBareRelay(t, {
      certMode: "letsencrypt",
      derp,
      stun: false,
      selfProbe: false,
    });
    const probes = createProbes({
      own: new OwnProbes(() => performance.now()),
      https: { address: "127.0.0.1", port: relay.derpPort },
      hostName: "",
      leaf: undefined,
      relayKey: derp ? relay.publicKey : undefined,
      stun: undefined,
    });
    assert.deepEqual(
      probes.map(({ name }) => name),
      [derp ? login : "tcp-ipv4"],
    );
    for (const probe of probes) await probe.run(t.signal);
  }
});

test("a certificate that has expired, or is not the one that the relay means to show, fails", async (t) => {
  const targets = await targetsOf(await startTestRelay(t, { selfProbe: false }));
  const other = find({ ...targets, leaf: () => Buffer.from("another") }, login);
  await assert.rejects(other.run(t.signal), /not the one that the relay means to show/);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + yearsMs });
  await assert.rejects(find(targets, login).run(t.signal), /the certificate expired on/);
});

test("another key in ServerKey, and nobody at the port, fail", async (t) => {
  const running = await startTestRelay(t, { selfProbe: false });
  const targets = await targetsOf(running);
  const elsewhere = find({ ...targets, relayKey: publicKeyOf(generatePrivateKey()) }, login);
  await assert.rejects(elsewhere.run(t.signal), /ServerKey holds another key than the relay's/);
  await running.relay[Symbol.asyncDispose]();
  await assert.rejects(find(targets, login).run(t.signal), /cannot connect to 127\.0\.0\.1:\d+/);
  await assert.rejects(find(targets, stun).run(t.signal), /no STUN at UDP 127\.0\.0\.1:\d+/);
});

test("STUN that is silent, or says another address than the probe's, fails", async (t) => {
  const targets = await targetsOf(await startTestRelay(t, { selfProbe: false }));
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const probe = find({ ...targets, stun: socket.address() }, stun);
  await assert.rejects(probe.run(AbortSignal.timeout(50)), /no answer from UDP/);
  socket.on("message", (datagram, { address, port }) => {
    const id = decodeBindingRequest(datagram);
    if (id !== undefined) socket.send(encodeBindingResponse(id, "192.0.2.1", port), port, address);
  });
  await assert.rejects(probe.run(t.signal), /STUN says 192\.0\.2\.1:\d+ to who asks from 127\.0\.0\.1/);
});

/** A relay that probes itself often, with what its plain HTTP port tells of it; that port counts nothing. */
async function startProbing(t: TestContext, options: Parameters<typeof startTestRelay>[1] = {}) {
  const lines: string[] = [];
  let changed = Promise.withResolvers<void>();
  const log = (line: string): void => {
    lines.push(line);
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const running = await startTestRelay(t, { httpPort: 0, ...options }, { log, probeEveryMs });
  const scrape = async (): Promise<Map<string, number>> => {
    const page = await (await fetch(`http://127.0.0.1:${running.relay.httpPort}/debug/varz`)).text();
    return new Map(
      [...page.matchAll(/^([^#].*) (\S+)$/gm)].map(([, name = "", value]) => [name, Number(value)]),
    );
  };
  return {
    ...running,
    lines,
    scrape,
    /** Status and document of /healthz. */
    async askHealth(): Promise<[number | undefined, unknown]> {
      const asked = get({
        host: "127.0.0.1",
        port: running.derpPort,
        servername: running.hostName,
        path: "/healthz",
        rejectUnauthorized: false,
        agent: false,
      });
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      return [response.statusCode, await json(response)];
    },
    /** Waits until each of these probes has passed so often. */
    async passes(times: number, ...probes: readonly string[]): Promise<Map<string, number>> {
      for (;;) {
        const metrics = await scrape();
        const passed = (probe: string): number =>
          metrics.get(`derpkit_health_probes{probe="${probe}",result="passed"}`) ?? 0;
        if (probes.every((probe) => passed(probe) >= times)) return metrics;
        await sleep(pollMs);
      }
    },
    async says(pattern: RegExp): Promise<void> {
      while (!lines.some((line) => pattern.test(line))) await changed.promise;
    },
  };
}

test("a relay's probes of itself are in no other metric, and pass where nobody else is let in", async (t) => {
  const folder = temporaryFolder(t);
  const admissionList = join(folder, "nobody");
  await writeFile(admissionList, "# nobody\n");
  const relay = await startProbing(t, {
    listen: ":0",
    admissionList,
    acceptConnectionLimit: 0.001,
    acceptConnectionBurst: 1,
  });
  const stranger = find(await targetsOf(relay), login);
  await assert.rejects(stranger.run(t.signal), /as it does with a client it does not admit/);
  await assert.rejects(stranger.run(t.signal), /TLS handshake/);
  const families = loopbacks.map((address) => (address === "::1" ? "ipv6" : "ipv4"));
  const names = families.flatMap((family) => [`derp-login-${family}`, `stun-${family}`]);
  const metrics = await relay.passes(2, ...names);
  const counted = [...metrics].filter(([name, value]) => value !== 0 && /^(?:derp|tls|stun)/.test(name));
  assert.deepEqual(
    Object.fromEntries(counted.filter(([name]) => !/^derpkit_|file_desc|_queue_|_bucket/.test(name))),
    {
      derp_accepts: 1,
      derp_buffered_write_frames_count: 1,
      derp_buffered_write_frames_sum: 1,
      'derper_tls_request_version{version="1.3"}': 1,
      tls_listener_accepted_connections: 1,
      tls_listener_rejected_connections: 1,
    },
    "what the stranger did, and nothing else",
  );
  assert.deepEqual([relay.relay.core.size, relay.relay.connections], [0, 0]);
});

test("an unhealthy relay says so and its STUN falls silent, until it is well again", async (t) => {
  const relay = await startProbing(t);
  const targets = await targetsOf(relay);
  await relay.passes(1, login, stun);
  assert.deepEqual(await relay.askHealth(), [200, { ...about, ok: true, state: "serving" }]);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + yearsMs });
  await relay.says(/unhealthy: the self-probe derp-login-ipv4 .* because the certificate expired/);
  await assert.rejects(find(targets, stun).run(AbortSignal.timeout(200)), /no answer from UDP/);
  const [status, body] = await relay.askHealth();
  const { warnings, ...unhealthy } = body as { readonly warnings: unknown };
  assert.deepEqual([status, unhealthy], [503, { ...about, ok: false, state: "unhealthy", failing: [login] }]);
  assert.match(String(warnings), /^the certificate of .* ended at/);
  const ill = await relay.scrape();
  assert.deepEqual([ill.get("derpkit_health_ok"), ill.get("derpkit_health_stun_silenced")], [0, 1]);
  assert.equal(ill.get('stun_requests{disposition="success"}'), 0);
  t.mock.timers.reset();
  await relay.says(/the self-probe derp-login-ipv4 passes again; healthy/);
  assert.deepEqual(await relay.askHealth(), [200, { ...about, ok: true, state: "serving" }]);
  await find(targets, stun).run(t.signal);
  assert.equal((await relay.scrape()).get('stun_requests{disposition="success"}'), 1);
});

test("a relay that lets its clients go is not unhealthy, and its STUN answers to the end", async (t) => {
  const relay = await startProbing(t, { drain: "1500ms" });
  const targets = await targetsOf(relay);
  await joinRelay(t, relay);
  await relay.passes(1, login, stun);
  relay.lines.length = 0;
  await relay.relay.drain(t.signal);
  assert.deepEqual(relay.lines, []);
  await find(targets, stun).run(t.signal);
});
