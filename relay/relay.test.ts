import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import * as v from "valibot";
import { certificatePaths } from "./config/certificate-files.ts";
import { type RelayConfigInput, relayConfigSchema } from "./config/schema.ts";
import {
  generatePrivateKey,
  type NodeKey,
  type PrivateKey,
  publicKeyOf,
  renderNodeKey,
} from "./crypto/keys.ts";
import { createSelfSigned } from "./crypto/self-signed.ts";
import { parseMetaCertificate } from "./protocol/meta-certificate.ts";
import { KitError } from "./errors.ts";
import { FrameType } from "./protocol/frame.ts";
import { encodeClientInfo } from "./protocol/handshake.ts";
import { encodeSendPacket } from "./protocol/writer.ts";
import { type Relay, startRelay } from "./relay.ts";
import { joinRelay, quietConfig, startBareRelay, startTestRelay } from "./testing/running-relay.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const hostname = "relay.derpkit.internal";

/** A relay without STUN on a free port of loopback, with a folder of its own. */
async function relayFor(
  t: TestContext,
  options: Partial<RelayConfigInput> = {},
): Promise<Relay & { folder: string }> {
  const { relay, folder } = await startTestRelay(t, { stun: false, ...options });
  return Object.assign(relay, { folder });
}

async function dial(relay: Relay, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port: relay.derpPort,
    servername: hostname,
    rejectUnauthorized: false,
    ...options,
  });
  await once(socket, "secureConnect");
  return socket;
}

/** Reads until at least `length` bytes have come. */
async function read(socket: TLSSocket, length: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    if (bytes.length >= length) return bytes;
  }
  throw new Error(`the relay closed after ${bytes.length} of ${length} bytes`);
}

async function fingerprint(relay: Relay): Promise<string> {
  const socket = await dial(relay);
  const certificate = socket.getPeerX509Certificate(); // A socket that is closed knows none any more.
  socket.destroy();
  assert.ok(certificate !== undefined);
  return certificate.fingerprint256;
}

const invalid = (error: unknown): boolean =>
  error instanceof KitError && error.code === "certificate-invalid";

/** The answer's status line, headers and body to a request on a connection of its own. */
async function ask(relay: Relay, request: string): Promise<string> {
  const socket = await dial(relay);
  socket.write(`${request}\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  return Buffer.concat(await socket.toArray()).toString("latin1");
}

const upgrade = (...more: readonly string[]): string =>
  ["GET /derp HTTP/1.1", `Host: ${hostname}`, "Upgrade: DERP", "Connection: Upgrade", ...more, "\r\n"].join(
    "\r\n",
  );

const clientInfo = (relay: Relay, key: PrivateKey): Buffer =>
  encodeClientInfo(key, publicKeyOf(key), relay.publicKey, randomBytes(24), {
    version: 2,
    canAckPings: true,
    isProber: false,
    appName: "",
  });

test("13, 14. an upgrade gets the exact head, and ServerKey with the same key right behind it", async (t) => {
  const relay = await relayFor(t);
  const socket = await dial(relay);
  socket.write(upgrade());
  const bytes = await read(socket, 200);
  const [head = "", rest = ""] = bytes.toString("latin1").split("\r\n\r\n");
  assert.deepEqual(head.split("\r\n"), [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: DERP",
    "Connection: Upgrade",
    "Derp-Version: 2",
    `Derp-Public-Key: ${relay.publicKey.toString("hex")}`,
  ]);
  const serverKey = Buffer.from(rest, "latin1");
  assert.equal(serverKey.toString("hex"), `010000002844455250f09f9491${relay.publicKey.toString("hex")}`);
  socket.destroy();
});

test("15, 16. at fast start no HTTP byte comes, and what came with the request belongs to DERP", async (t) => {
  const relay = await relayFor(t);
  const [alice, bob] = [generatePrivateKey(), generatePrivateKey()];
  const receiver = await dial(relay);
  receiver.write(Buffer.concat([Buffer.from(upgrade("Derp-Fast-Start: 1")), clientInfo(relay, bob)]));
  const greeting = await read(receiver, 45 + 58);
  assert.equal(greeting[0], FrameType.serverKey);
  assert.equal(greeting[45], FrameType.serverInfo);
  const sender = await dial(relay);
  const packet = encodeSendPacket(publicKeyOf(bob), Buffer.from("same segment"));
  sender.write(Buffer.concat([Buffer.from(upgrade("Derp-Fast-Start: 1")), clientInfo(relay, alice), packet]));
  const received = await read(receiver, 5 + 32 + 12);
  assert.equal(received[0], FrameType.recvPacket);
  assert.deepEqual(received.subarray(5, 37), publicKeyOf(alice));
  assert.equal(received.subarray(37).toString(), "same segment");
  for (const socket of [sender, receiver]) socket.destroy();
});

test("114. /debug/varz is shown to loopback, and to nobody behind X-Forwarded-For", async (t) => {
  const relay = await relayFor(t);
  const shown = await ask(relay, "GET /debug/varz HTTP/1.1");
  assert.match(shown, /^HTTP\/1\.1 200 OK\r\n[^]*\n# TYPE derp_accepts counter\nderp_accepts 0\n/);
  const refused = await ask(relay, "GET /debug/varz HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1");
  assert.match(refused, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\ndebug access denied\n$/);
});

test("110, 115. bootstrap DNS answers with published names, and with an unpublished one to who knows it", async (t) => {
  const relay = await relayFor(t, {
    bootstrapDnsNames: "192.0.2.1",
    unpublishedBootstrapDnsNames: "192.0.2.2",
  });
  const named = async (query: string): Promise<string[]> => {
    const [, body = ""] = (await ask(relay, `GET /bootstrap-dns${query} HTTP/1.1`)).split("\r\n\r\n");
    return Object.keys(JSON.parse(body || "{}"));
  };
  while ((await named("?q=192.0.2.2"))[0] !== "192.0.2.2");
  while ((await named("")).length === 0);
  assert.deepEqual(await named("?q=192.0.2.1"), ["192.0.2.1"]);
  assert.deepEqual(await named("?q=192.0.2.%32"), ["192.0.2.2"]);
  const varz = await ask(relay, "GET /debug/varz HTTP/1.1");
  assert.match(varz, /\nbootstrap_dns_published_hits 1\n/);
  assert.match(varz, /\nbootstrap_dns_queried_domains 2\n/);
});

/** Sends a login on a connection of its own, which ends with the test. */
async function login(t: TestContext, relay: Relay, key: PrivateKey): Promise<TLSSocket> {
  const socket = await dial(relay);
  t.after(() => socket.destroy());
  socket.write(Buffer.concat([Buffer.from(upgrade("Derp-Fast-Start: 1")), clientInfo(relay, key)]));
  return socket;
}

test("how admission answers is counted by mode, under names of our own", async (t) => {
  const key = generatePrivateKey();
  const file = join(temporaryFolder(t), "clients");
  await writeFile(file, `${renderNodeKey(publicKeyOf(key))}\n`);
  const relay = await relayFor(t, { admissionList: file });
  await read(await login(t, relay, key), 45 + 58);
  await (await login(t, relay, generatePrivateKey())).toArray();
  const text = await ask(relay, "GET /debug/varz HTTP/1.1");
  for (const line of [
    'derpkit_admission_queries{mode="allow-list"} 2',
    'derpkit_admission_answers{mode="allow-list",answer="allow"} 1',
    'derpkit_admission_answers{mode="allow-list",answer="deny"} 1',
    'derpkit_admission_unknown{mode="allow-list",failure="list"} 0',
    'derpkit_admission_list_keys{mode="allow-list"} 1',
    "derpkit_admission_sessions_watched 1",
  ])
    assert.ok(text.split("\n").includes(line), line);
  assert.match(text, /^derpkit_admission_list_age_seconds\{mode="allow-list"\} [\d.e-]+$/m);
});

test("/debug/check asks the local tailscaled for its own node, and says what is wrong", async (t) => {
  const socket = join(temporaryFolder(t), "no.sock");
  const relay = await relayFor(t, { verifyClients: true, socket });
  const answer = await ask(relay, "GET /debug/check HTTP/1.1");
  assert.match(
    answer,
    /^HTTP\/1\.1 500 Internal Server Error\r\n[^]*\r\n\r\ntailscaled cannot be asked: connect ENOENT .*no\.sock\n$/,
  );
});

test("116, 117. known traffic is counted exactly, and a key that is connected twice is no inconsistency", async (t) => {
  const relay = await relayFor(t);
  const [alice, bob] = [generatePrivateKey(), generatePrivateKey()];
  const enter = async (key: PrivateKey): Promise<TLSSocket> => {
    const socket = await login(t, relay, key);
    await read(socket, 45 + 58);
    return socket;
  };
  await enter(bob);
  const receiver = await enter(bob);
  const sender = await enter(alice);
  sender.write(encodeSendPacket(publicKeyOf(bob), Buffer.from("twelve bytes")));
  await read(receiver, 5 + 32 + 12);
  const text = await ask(relay, "GET /debug/varz HTTP/1.1");
  for (const line of [
    "derp_accepts 3",
    "derp_bytes_received 12",
    "derp_bytes_sent 12",
    "derp_clients_local 2",
    "derp_current_connections 3",
    "derp_current_dup_client_conns 2",
    "derp_current_dup_client_keys 1",
    "derp_packets_received 1",
    "derp_packets_sent 1",
    'derper_tls_active_version{version="1.3"} 4',
    'derper_tls_request_version{version="1.3"} 4',
    "tls_listener_accepted_connections 4",
  ])
    assert.ok(text.split("\n").includes(line), line);
  assert.match(
    await ask(relay, "GET /debug/check HTTP/1.1"),
    /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nderp\.Server ConsistencyCheck okay$/,
  );
});

test("10, 11, 12, 24, 26. plain requests are answered over TLS as derper does", async (t) => {
  const relay = await relayFor(t);
  assert.match(
    await ask(relay, "GET /derp/probe HTTP/1.1"),
    /^HTTP\/1\.1 200 OK\r\nAccess-Control-Allow-Origin: \*\r\nDate: [^\r]+\r\nContent-Length: 0\r\n/,
  );
  assert.match(await ask(relay, "HEAD /derp/latency-check HTTP/1.1"), /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(
    await ask(relay, "OPTIONS /derp/probe HTTP/1.1"),
    /^HTTP\/1\.1 405 [^]*\r\n\r\nbogus probe method\n$/,
  );
  assert.match(
    await ask(relay, "GET /derp HTTP/1.1"),
    /^HTTP\/1\.1 426 [^]*\r\n\r\nDERP requires connection upgrade\n$/,
  );
  assert.match(
    await ask(relay, "GET /generate_204 HTTP/1.1\r\nX-Tailscale-Challenge: ts_x"),
    /\r\nX-Tailscale-Response: response ts_x\r\n/,
  );
  assert.match(
    await ask(relay, "GET / HTTP/1.1"),
    /\r\nContent-Type: text\/html; charset=utf-8\r\n[^]*<h1>DERP<\/h1>/,
  );
  const health = await ask(relay, "GET /healthz HTTP/1.1");
  assert.deepEqual(JSON.parse(health.split("\r\n\r\n")[1] ?? ""), {
    ok: true,
    version: "0.0.0",
    bundle: null,
    state: "serving",
  });
  for (const answer of [health]) assert.doesNotMatch(answer, /^server:/im);
});

test("12. an upgrade to something else, or on another path, is answered as a plain request", async (t) => {
  const relay = await relayFor(t);
  const asked = async (path: string, value: string): Promise<string> => {
    const socket = await dial(relay);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: ${value}\r\nConnection: Upgrade\r\n\r\n`);
    const bytes = await read(socket, 12);
    socket.destroy();
    return bytes.toString("latin1", 9, 12);
  };
  assert.equal(await asked("/derp", "foo"), "426");
  assert.equal(await asked("/", "h2c"), "200");
  assert.equal(await asked("/derp/probe", "DERP"), "200");
});

test("31. CONNECT is refused with 403", async (t) => {
  const relay = await relayFor(t);
  assert.match(
    await ask(relay, "CONNECT a.example:443 HTTP/1.1"),
    /^HTTP\/1\.1 403 [^]*\r\n\r\nCONNECT not enabled\n$/,
  );
});

test("a client that was refused and leaves in the middle of a request leaves no socket behind", async (t) => {
  const relay = await relayFor(t);
  const connectRequest = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n";
  for (let i = 0; i < 10; i++) {
    const socket = await dial(relay);
    socket.on("error", () => {});
    socket.write(connectRequest + "x".repeat(20_000), () => socket.destroy());
    await once(socket, "close");
  }
  while (relay.connections > 0) await sleep(10);
});

test("34, 35. the last certificate of each handshake carries the relay's key, and the chain does not grow", async (t) => {
  const relay = await relayFor(t);
  for (let handshake = 0; handshake < 3; handshake++) {
    // In TLS 1.2 the certificates go in clear, so that a client sees what was really sent.
    const certificates = await sentCertificates(relay);
    assert.equal(certificates.length, 2);
    assert.equal(parseMetaCertificate(certificates[0] as Buffer), undefined);
    const meta = parseMetaCertificate(certificates[1] as Buffer);
    assert.deepEqual(meta?.relayKey, relay.publicKey);
    assert.equal(meta.version, 2);
  }
});

test("36. TLS 1.1 is refused, 1.2 and 1.3 are not; no ALPN is fine and h2,http/1.1 gives http/1.1", async (t) => {
  const relay = await relayFor(t);
  await assert.rejects(dial(relay, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const socket = await dial(relay, { minVersion: version, maxVersion: version });
    assert.equal(socket.getProtocol(), version);
    assert.equal(socket.alpnProtocol, false);
    socket.destroy();
  }
  const browser = await dial(relay, { ALPNProtocols: ["h2", "http/1.1"] });
  assert.equal(browser.alpnProtocol, "http/1.1");
  browser.destroy();
});

test("39. a client that asks for another name, or for none, is refused before it is shown a certificate", async (t) => {
  const relay = await relayFor(t);
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const only = { minVersion: version, maxVersion: version };
    (await dial(relay, only)).destroy();
    for (const servername of ["other.example", hostname.toUpperCase(), ""])
      await assert.rejects(dial(relay, { ...only, servername }), /alert/, `${version} ${servername}`);
  }
});

test("37. a relay whose host name is an IP address serves clients without SNI", async (t) => {
  const relay = await relayFor(t, { hostname: "127.0.0.1", certMode: "manual" });
  const socket = await dial(relay, { servername: "" });
  assert.equal(socket.getPeerX509Certificate()?.subjectAltName, "IP Address:127.0.0.1");
  socket.destroy();
});

test("9, 38. the key and the certificate are made once, with the rights of secrets, and kept", async (t) => {
  const relay = await relayFor(t);
  const keyFile = join(relay.folder, "derper.key");
  assert.match(await readFile(keyFile, "utf8"), /^\{\n\t"PrivateKey": "privkey:[0-9a-f]{64}"\n\}/);
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
  assert.equal((await stat(join(relay.folder, "certs", `${hostname}.key`))).mode & 0o777, 0o600);
  const before = await fingerprint(relay);
  await relay[Symbol.asyncDispose]();
  const config = v.parse(relayConfigSchema, { ...quietConfig, stun: false });
  await using again = await startRelay(config, {
    stateDirectory: relay.folder,
    version: "",
    bundle: null,
    log: () => {},
    env: {},
  });
  assert.equal(await fingerprint(again), before);
  assert.deepEqual(again.publicKey, relay.publicKey);
});

test("Q9. a reload takes a new certificate; one that clients would refuse it does not take, and who is here stays", async (t) => {
  const { relay, folder, log } = await startBareRelay(t, { stun: false });
  const pair = certificatePaths(join(folder, "certs"), hostname);
  const before = await fingerprint(relay);
  const here = await dial(relay);
  const days = (from: number, to: number) => ({
    notBefore: new Date(Date.now() + from * 86_400_000),
    notAfter: new Date(Date.now() + to * 86_400_000),
  });
  const put = async (hostName: string, from: number, to: number): Promise<void> => {
    const { certificatePem, keyPem } = createSelfSigned({ hostName, ...days(from, to) });
    await writeFile(pair.crt, certificatePem);
    await writeFile(pair.key, keyPem);
    await relay.reload();
  };
  for (const bad of [
    () => put("other.example", -1, 1),
    () => put(hostname, -2, -1),
    () => put(hostname, 1, 2),
    () => writeFile(pair.key, "no key").then(() => relay.reload()),
    () => rm(pair.crt).then(() => relay.reload()),
  ]) {
    await bad();
    assert.match(
      log.at(-1) ?? "",
      /^not read again, and what held before goes on: certificate\n.*certificate-invalid/,
    );
    assert.equal(await fingerprint(relay), before);
  }
  await put(hostname, -1, 30);
  assert.equal(log.at(-1), "read again: certificate");
  const after = await fingerprint(relay);
  assert.notEqual(after, before);
  here.write("GET /generate_204 HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.match(String(await read(here, 12)), /^HTTP\/1.1 204/);
  here.destroy();
});

test("a certificate that is valid on other days is served, as by derper, and the log says so", async (t) => {
  const donor = await startBareRelay(t, { stun: false });
  const { certificatePem, keyPem } = createSelfSigned({
    hostName: hostname,
    notBefore: new Date(Date.now() - 2 * 86_400_000),
    notAfter: new Date(Date.now() - 86_400_000),
  });
  const pair = certificatePaths(join(donor.folder, "certs"), hostname);
  await writeFile(pair.crt, certificatePem);
  await writeFile(pair.key, keyPem);
  const { relay, log } = await startBareRelay(t, { stun: false, certDir: join(donor.folder, "certs") });
  assert.notEqual(await fingerprint(relay), await fingerprint(donor.relay));
  assert.match(log.join(), /is not valid any more/);
});

test("a certificate that is missing, of another name or of another key ends the start with a clear error", async (t) => {
  const donor = await relayFor(t);
  const start = async (
    certMode: "manual" | "pinned",
    name: string,
    prepare: (certs: string) => Promise<void>,
  ) => {
    const folder = temporaryFolder(t);
    await cp(join(donor.folder, "certs"), join(folder, "certs"), { recursive: true });
    await prepare(join(folder, "certs"));
    const config = v.parse(relayConfigSchema, { ...quietConfig, hostname: name, certMode, stun: false });
    await startRelay(config, { stateDirectory: folder, version: "", bundle: null, log: () => {}, env: {} });
  };
  await assert.rejects(
    start("manual", "other.example", async () => {}),
    invalid,
  );
  await assert.rejects(
    start("pinned", hostname, (certs) => rm(join(certs, `${hostname}.key`))),
    invalid,
  );
  const renamed = async (certs: string): Promise<void> => {
    await rename(join(certs, `${hostname}.crt`), join(certs, "other.example.crt"));
    await rename(join(certs, `${hostname}.key`), join(certs, "other.example.key"));
  };
  await assert.rejects(start("pinned", "other.example", renamed), invalid);
});

test("a port that is taken is named, and nothing stays open", async (t) => {
  const relay = await relayFor(t);
  await assert.rejects(
    relayFor(t, {
      listen: `127.0.0.1:${relay.derpPort}`,
      stun: true,
      stunPort: 20_000 + (relay.derpPort % 10_000),
    }),
    (error) =>
      error instanceof KitError &&
      error.code === "port-in-use" &&
      error.message.includes(`${relay.derpPort}`),
  );
});

test("random bytes instead of HTTP, and a client that leaves in the middle, hurt nobody", async (t) => {
  const relay = await relayFor(t);
  for (let i = 0; i < 20; i++) {
    const socket = await dial(relay);
    socket.on("error", () => {});
    socket.write(i % 2 === 0 ? randomBytes(200) : upgrade().slice(0, 20 + i));
    socket.destroy();
  }
  assert.match(await ask(relay, "GET /derp/probe HTTP/1.1"), /^HTTP\/1\.1 200 /);
});

test("stopping ends every connection", async (t) => {
  const relay = await relayFor(t);
  const idle = await dial(relay);
  const client = await dial(relay);
  client.write(upgrade());
  await read(client, 100);
  const ends = Promise.all(
    [idle, client].map((socket) => once(socket.on("error", () => {}).resume(), "close")),
  );
  await relay[Symbol.asyncDispose]();
  await ends;
  assert.equal(relay.core.size, 0);
});

/** The certificates in a TLS 1.2 handshake, in the order sent, read from the bytes on the wire. */
async function sentCertificates(relay: Relay): Promise<Buffer[]> {
  const tcp = connectTcp(relay.derpPort, "127.0.0.1");
  const seen: Buffer[] = [];
  const tap = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => void tcp.write(chunk, () => done()),
  });
  tcp.on("data", (chunk: Buffer) => {
    seen.push(chunk);
    tap.push(chunk);
  });
  const socket = connect({
    socket: tap,
    servername: hostname,
    rejectUnauthorized: false,
    maxVersion: "TLSv1.2",
  });
  await once(socket, "secureConnect");
  tcp.destroy();
  return certificatesIn(handshakeBytes(Buffer.concat(seen)));
}

/** The handshake messages, without the records around them (RFC 5246, 6.2.1). */
function handshakeBytes(stream: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 5 <= stream.length && stream[at] === 22; at += 5 + stream.readUInt16BE(at + 3)) {
    pieces.push(stream.subarray(at + 5, at + 5 + stream.readUInt16BE(at + 3)));
  }
  return Buffer.concat(pieces);
}

/** The entries of the Certificate message (RFC 5246, 7.4.2). */
function certificatesIn(messages: Buffer): Buffer[] {
  for (let at = 0; at + 4 <= messages.length; at += 4 + messages.readUIntBE(at + 1, 3)) {
    if (messages[at] !== 11) continue;
    const list = messages.subarray(at + 7, at + 4 + messages.readUIntBE(at + 1, 3));
    const certificates: Buffer[] = [];
    for (let entry = 0; entry < list.length; entry += 3 + list.readUIntBE(entry, 3)) {
      certificates.push(list.subarray(entry + 3, entry + 3 + list.readUIntBE(entry, 3)));
    }
    return certificates;
  }
  return [];
}

test("30. the plain HTTP port redirects, ignores upgrades and ends with the relay", async (t) => {
  const { relay } = await startTestRelay(t, { stun: false, httpPort: await freePort() });
  const asked = async (head: string): Promise<string> => {
    const socket = connectTcp(relay.httpPort ?? 0, "127.0.0.1");
    socket.write(`${head}\r\nHost: relay.example:81\r\nConnection: close\r\n\r\n`);
    return Buffer.concat(await socket.toArray()).toString("latin1");
  };
  assert.match(
    await asked("GET /foo?x=1 HTTP/1.1"),
    /^HTTP\/1\.1 302 Found\r\n[^]*\r\nLocation: https:\/\/relay\.example:81\/foo\?x=1\r\n/,
  );
  assert.match(await asked("GET /derp HTTP/1.1\r\nUpgrade: DERP"), /^HTTP\/1\.1 302 /);
  assert.match(await asked("POST / HTTP/1.1\r\nContent-Length: 0"), /^HTTP\/1\.1 400 [^]*Use HTTPS\n$/);
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

test("103. a client over its rate is slowed down by TCP, and loses nothing", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, "rate.json");
  await writeFile(file, '{"PerClientRateLimitBytesPerSec":4000000,"PerClientRateBurstBytes":65568}');
  const relay = await relayFor(t, { rateConfig: file });
  const key = generatePrivateKey();
  const socket = await dial(relay);
  socket.write(Buffer.concat([Buffer.from(upgrade("Derp-Fast-Start: 1")), clientInfo(relay, key)]));
  await read(socket, 45 + 58);
  const packet = encodeSendPacket(publicKeyOf(key), Buffer.alloc(10_000));
  for (let i = 0; i < 100; i++) socket.write(packet);
  await read(socket, 100 * (5 + 32 + 10_000));
  assert.ok(relay.core.counters.rateLimitWaited > 0);
  socket.destroy();
});

test("104. beyond the accept limit connections are closed and counted, and the relay runs on", async (t) => {
  const relay = await relayFor(t, { acceptConnectionLimit: 0.001, acceptConnectionBurst: 2 });
  for (let i = 0; i < 2; i++) (await dial(relay)).destroy();
  for (let i = 0; i < 3; i++) await assert.rejects(dial(relay));
  assert.equal(relay.connections, 0);
});

test("one address may knock so often, while clients that are logged in and trusted proxies do not count", async (t) => {
  for (const trustedProxies of ["", "127.0.0.0/8"]) {
    const running = await startTestRelay(t, { maxWaitingPerAddress: 3, trustedProxies });
    const clients = [await joinRelay(t, running), await joinRelay(t, running), await joinRelay(t, running)];
    const knocking = await Promise.all([1, 2, 3].map(() => dial(running.relay)));
    const fourth = dial(running.relay);
    if (trustedProxies === "") await assert.rejects(fourth);
    else knocking.push(await fourth);
    clients[0]?.send(clients[1]?.key as NodeKey, Buffer.from("still here"));
    assert.equal((await clients[1]?.receive(t.signal))?.type, "packet");
    for (const socket of knocking) socket.destroy();
    while (running.relay.connections > 3) await sleep(10);
    const varz = await ask(running.relay, "GET /debug/varz HTTP/1.1");
    const refused = trustedProxies === "" ? 1 : 0;
    assert.ok(varz.includes(`\nderpkit_connections_refused{limit="source"} ${refused}\n`));
    await joinRelay(t, running);
  }
});

test("who knocks at the plain HTTP port counts as well", async (t) => {
  const relay = await relayFor(t, { maxWaitingPerAddress: 2, httpPort: await freePort() });
  const plain = (): Socket => connectTcp({ host: "127.0.0.1", port: relay.httpPort ?? 0 });
  const knocking = [plain(), plain()];
  for (const socket of knocking) await once(socket, "connect");
  const third = plain().resume();
  await once(third, "close");
  await assert.rejects(dial(relay));
  for (const socket of knocking) socket.destroy();
});

test("there are so many connections in all", async (t) => {
  const running = await startTestRelay(t, { maxConnections: 2 });
  const clients = [await joinRelay(t, running), await joinRelay(t, running)];
  await assert.rejects(dial(running.relay));
  await clients[0]?.[Symbol.asyncDispose]();
  while (running.relay.connections > 1) await sleep(10);
  await joinRelay(t, running);
});

test("files are read before anything listens: a missing one is the complaint even if the port is taken", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  await assert.rejects(
    relayFor(t, { listen: `127.0.0.1:${port}`, rateConfig: "missing.json" }),
    (error) => error instanceof KitError && error.code === "file-unreadable",
  );
});
