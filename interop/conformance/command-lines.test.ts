/**
 * Statements 120, 94, 28 and 44: what a command line means.
 *
 * The command lines of 120 are shapes found in the field: systemd units, Docker images and their entry points, the NixOS
 * module, programs that start derper. Ports, paths and names are ours. A unit that relies on root's key file is given
 * one, and where one port is fixed the others are not.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { freePort } from "../test-ports.ts";
import { certificatePaths } from "../../relay/config/certificate-files.ts";
import { generatePrivateKey, renderPrivateKey } from "../../relay/crypto/keys.ts";
import { createSelfSigned } from "../../relay/crypto/self-signed.ts";
import { encodeBindingRequest } from "../../relay/stun/message.ts";
import { get, openTcp, openTls, readAnswer } from "./http.ts";
import { Incoming, patienceMs } from "./incoming.ts";
import {
  accepts,
  type RelayFiles,
  type RelayKind,
  relayKinds,
  type RelayProcess,
  spawnRelay,
  stop,
  whyMissing,
} from "./relay-under-test.ts";
import { ownFiles, perRelay } from "./suite.ts";

interface Place extends RelayFiles {
  readonly derpPort: number;
  readonly httpPort: number;
  readonly stunPort: number;
  readonly key: string;
  readonly certs: string;
}

/** What a relay turns out to be. */
interface Seen {
  readonly main: "TLS" | "plain HTTP";
  /** The first lines of two answers on the main port. */
  readonly derp: string;
  readonly home: string;
  /** What the plain HTTP port does beside the main one. */
  readonly http: "redirects" | "closed";
  readonly stun: "answers" | "closed";
}

interface Shape {
  readonly what: string;
  /** The command line, behind the program's name; no word has a space. */
  readonly line: (place: Place) => string;
  /** What differs from a relay with TLS, plain HTTP and STUN; or the exit status of one that does not start. */
  readonly seen: Partial<Seen> | { readonly status: number };
  readonly prepare?: (place: Place) => Promise<void>;
  readonly hostName?: string;
}

const usual: Seen = {
  main: "TLS",
  derp: "HTTP/1.1 101 Switching Protocols",
  home: "HTTP/1.1 200 OK",
  http: "redirects",
  stun: "answers",
};
const stranger = "X-Forwarded-For: 192.0.2.1";
const behindProxy = { main: "plain HTTP", http: "closed" } as const;

const shapes: readonly Shape[] = [
  {
    what: "the NixOS module, behind nginx",
    line: ({ derpPort, key, hostName, stunPort }) =>
      `-a :${derpPort} -c ${key} -hostname=${hostName} -stun-port ${stunPort}`,
    seen: behindProxy,
  },
  {
    what: "a systemd unit with a certificate of its own and an HTTP port that is not 80",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key }) => `
      -hostname ${hostName} -a :${derpPort} -http-port ${httpPort} -certmode manual -certdir ${certs}
      -c ${key} -stun-port ${stunPort}`,
    seen: {},
  },
  {
    what: "a Docker image that makes a flag of each variable, some of them empty",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key }) => `
      --hostname=${hostName} --certmode=manual --certdir=${certs} --a=:${derpPort} --stun=true
      --stun-port=${stunPort} --http-port=${httpPort} --verify-clients=false --verify-client-url=
      --home= --c=${key}`,
    seen: {},
  },
  {
    what: "an entry point that gives every flag, with the defaults that derper prints",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key, folder }) => `
      --a=:${derpPort} --accept-connection-limit=+Inf --accept-connection-burst=9223372036854775807
      --c=${key} --certdir=${certs} --certmode=manual --derp=true --dev=false --home=
      --hostname=${hostName} --http-port=${httpPort} --mesh-psk-file= --mesh-with= --socket=
      --stun=true --secrets-cache-dir=${folder}/secrets --secrets-path-prefix=prod/derp
      --bootstrap-dns-names= --unpublished-bootstrap-dns-names= --ace=false --rate-config=
      --acme-email= --acme-eab-kid= --acme-eab-key= --acme-ip-certs=false
      --secrets-url= --stun-port=${stunPort} --tcp-keepalive-time=10m0s --tcp-user-timeout=15s
      --tcp-write-timeout=2s --verify-client-url= --verify-client-url-fail-open=true
      --verify-clients=false --version=false`,
    seen: {},
  },
  {
    what: "a relay by IP address, whose certificate is made, without an HTTP port",
    line: ({ derpPort, stunPort, key, folder }) => `
      -a :${derpPort} -http-port -1 -stun-port ${stunPort} -hostname 127.0.0.1 --certmode manual
      -certdir ${folder}/made -c ${key}`,
    seen: { http: "closed" },
    hostName: "127.0.0.1",
  },
  {
    what: "a unit whose key file is relative to its working directory, behind Caddy",
    line: ({ derpPort, stunPort }) => `-a :${derpPort} -stun -stun-port ${stunPort} -c state/derper.key`,
    seen: behindProxy,
  },
  {
    what: "a command line that means to give -stun an address: what follows is ignored",
    line: ({ derpPort, stunPort, key }) => `
      -c ${key} -hostname 192.0.2.1 -a 127.0.0.1:${derpPort} -stun-port ${stunPort} -stun :3478
      -http-port -1 -certmode manual -nope`,
    seen: behindProxy,
  },
  {
    what: "a program that starts derper for its own admission URL, and wants no mesh key from anywhere",
    line: ({ hostName, derpPort, httpPort, stunPort, key }) => `
      -hostname=${hostName} -a=127.0.0.1:${derpPort} -stun-port=${stunPort} -stun=true -derp=true
      -c=${key} -http-port=${httpPort} -verify-clients=false
      -verify-client-url=http://127.0.0.1:9/admit -verify-client-url-fail-open=false -mesh-psk-file=`,
    seen: behindProxy,
  },
  {
    what: "a hardened unit with limits and a blank page",
    line: ({ hostName, derpPort, stunPort, certs, key }) => `
      -c=${key} -hostname=${hostName} -certmode=manual -certdir=${certs} -a=:${derpPort}
      -http-port=-1 -stun -stun-port=${stunPort} -home=blank -accept-connection-limit=20
      -accept-connection-burst=200`,
    seen: { http: "closed" },
  },
  {
    what: "a container that listens on every address by name of one family",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key }) => `
      -hostname ${hostName} -certmode manual -certdir ${certs} -a 0.0.0.0:${derpPort} -http-port
      ${httpPort} -stun -stun-port ${stunPort} -c ${key}`,
    seen: {},
  },
  {
    what: "an entry point that writes options into the key file, where derper does not look for them",
    line: ({ derpPort, httpPort, stunPort, folder }) =>
      `-c ${folder}/derper.conf -a :${derpPort} -http-port ${httpPort} -stun-port ${stunPort}`,
    seen: behindProxy,
    prepare: ({ folder }) => {
      const options = {
        Version: 1,
        HostName: "a.example",
        PrivateKey: renderPrivateKey(generatePrivateKey()),
      };
      return writeFile(join(folder, "derper.conf"), JSON.stringify({ ...options, OmitCert: true }));
    },
  },
  {
    what: "a STUN server that is left of a relay that goes",
    line: ({ derpPort, stunPort, key }) => `-a :${derpPort} -derp=false -stun-port ${stunPort} -c ${key}`,
    seen: { ...behindProxy, derp: "HTTP/1.1 404 Not Found" },
  },
  {
    what: "a relay without STUN",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key }) => `
      -a :${derpPort} --stun=false -stun-port ${stunPort} --certmode manual --certdir ${certs}
      --hostname ${hostName} -c ${key} -http-port ${httpPort}`,
    seen: { stun: "closed" },
  },
  {
    what: "an entry point for a page elsewhere, with numbers as Go writes them",
    line: ({ derpPort, stunPort, key }) => `
      -a localhost:${derpPort} -home=https://example.com/ -stun-port=0x${stunPort.toString(16)}
      -tcp-write-timeout=0 -tcp-keepalive-time=-1s -tcp-user-timeout=1m30s -c ${key}`,
    seen: { ...behindProxy, home: "HTTP/1.1 302 Found" },
  },
  {
    what: "a certificate that has ended",
    line: ({ hostName, derpPort, httpPort, stunPort, certs, key }) => `
      -a :${derpPort} -c ${key} -certmode manual -certdir ${certs} -hostname ${hostName} -http-port
      ${httpPort} -stun-port ${stunPort}`,
    seen: {},
    prepare: async ({ certs, hostName }) => {
      const [notBefore, notAfter] = [new Date("2020-01-01"), new Date("2020-04-01")];
      const { certificatePem, keyPem } = createSelfSigned({ hostName, notBefore, notAfter });
      const paths = certificatePaths(certs, hostName);
      await writeFile(paths.crt, certificatePem);
      await writeFile(paths.key, keyPem);
    },
  },
  {
    what: "an image with flags that derper never had",
    line: ({ hostName, derpPort, folder }) => `
      --hostname=${hostName} --a=:${derpPort} --certfile=${folder}/a.crt --keyfile=${folder}/a.key`,
    seen: { status: 2 },
  },
  {
    what: "a boolean that is none",
    line: ({ derpPort, key }) => `-a :${derpPort} -c ${key} -verify-clients=yes`,
    seen: { status: 2 },
  },
  {
    what: "a duration without a unit",
    line: ({ derpPort, key }) => `-a :${derpPort} -c ${key} -tcp-write-timeout=2`,
    seen: { status: 2 },
  },
  {
    what: "a certificate that is not there",
    line: ({ derpPort, key, certs }) => `
      -a :${derpPort} -c ${key} -stun=false -certmode manual -certdir ${certs} -hostname
      other.example`,
    seen: { status: 1 },
  },
  {
    what: "an address without a colon",
    line: ({ derpPort, key }) => `-a ${derpPort} -c ${key}`,
    seen: { status: 1 },
  },
];

describe("120. Given derper's command lines found in the field (systemd units, docker images), then our binary accepts the same flags and meanings.", () => {
  for (const { what, line, seen, prepare, hostName } of shapes)
    perRelay(what, {}, async (t, kind) => {
      const place = await prepared(t, hostName);
      await prepare?.(place);
      const relay = await spawnRelay(kind, place, line(place).trim().split(/\s+/));
      t.after(() => stop(relay.process));
      if ("status" in seen) assert.equal(await exitStatus(relay), seen.status, relay.log());
      else assert.deepEqual(await look(kind, relay, place, seen), { ...usual, ...seen });
    });
});

// One at a time: the port is fixed.
describe("120. Given -dev, then it serves on :3340, with TLS only where a certificate is given.", () => {
  for (const kind of relayKinds) {
    test(kind, { skip: whyMissing(kind) ?? false }, async (t) => {
      const found = await prepared(t);
      const place = { ...found, derpPort: 3_340 };
      const { certs, hostName, stunPort, httpPort } = place;
      const ports = [`-stun-port=${stunPort}`, `-http-port=${httpPort}`, "-a", `:${found.derpPort}`];
      const plain = await spawnRelay(kind, place, ["-dev", ...ports]);
      t.after(() => stop(plain.process));
      assert.deepEqual(await look(kind, plain, place, behindProxy), { ...usual, ...behindProxy });
      const refused = await readAnswer(await tell(place.derpPort, get("/debug/varz", [stranger])), "GET");
      const hint = "to permit access, set TS_ALLOW_DEBUG_IP=127.0.0.1";
      assert.equal(refused.body, `debug access denied; ${hint}\n`);
      await stop(plain.process);
      const manual = ["-certmode", "manual", "-certdir", certs, "-hostname", hostName];
      const secure = await spawnRelay(kind, place, ["-dev", ...ports, ...manual]);
      t.after(() => stop(secure.process));
      assert.deepEqual(await look(kind, secure, place, {}), usual);
    });
  }
});

/** Upstream's tables of modes and flags, and what the error names. Nothing listens, so the port may be taken. */
const gating = [
  ["-certmode letsencrypt -hostname 1.2.3.4", /-acme-ip-certs/],
  ["-certmode gcp -hostname 1.2.3.4", /-hostname.* DNS name/],
  ["-certmode gcp -hostname 1.2.3.4 -acme-ip-certs", /-acme-ip-certs.*-certmode=letsencrypt/],
  ["-certmode manual -hostname 1.2.3.4 -acme-ip-certs", /-acme-ip-certs.*-certmode=letsencrypt/],
  ["-certmode gcp -hostname a.example -acme-email a@example.com", /-acme-eab-kid.*-acme-eab-key/],
  ["-certmode gcp -hostname a.example -acme-eab-kid k -acme-eab-key dGVzdA", /-acme-email/],
  ["-certmode gcp -hostname a.example -acme-eab-kid k -acme-eab-key ! -acme-email a@example.com", /base64/],
  ["-certmode manual -hostname 1.2.3.4 -certdir=", /-certdir/],
  ["-certmode magic -hostname a.example", /cert ?mode/i],
] as const;

perRelay(
  "44. Given the mode/hostname/flag combinations of upstream's gating table, then errors name the right flag.",
  {},
  async (t, kind) => {
    const place = await prepared(t);
    for (const [line, names] of gating) {
      const args = ["-a", "127.0.0.1:443", "-c", place.key, "-stun=false", ...line.split(" ")];
      const relay = await spawnRelay(kind, place, args);
      t.after(() => stop(relay.process));
      assert.equal(await exitStatus(relay), 1, line);
      assert.match(relay.log(), names, line);
    }
  },
);

perRelay(
  "120. Given -certmode letsencrypt on another port than 443, then plain HTTP is served, whatever the ACME flags say.",
  {},
  async (t, kind) => {
    const place = await prepared(t, "127.0.0.1");
    const line = `-a :${place.derpPort} -hostname 127.0.0.1 -certmode letsencrypt -acme-email a@example.com
      -acme-eab-key ! -http-port 80 -certdir= -c ${place.key} -stun-port ${place.stunPort}`;
    const relay = await spawnRelay(kind, place, line.split(/\s+/));
    t.after(() => stop(relay.process));
    assert.deepEqual(await look(kind, relay, place, behindProxy), { ...usual, ...behindProxy });
  },
);

async function prepared(t: TestContext, hostName?: string): Promise<Place> {
  const files = await ownFiles(t, hostName);
  const derpPort = await freePort("tcp");
  return {
    ...files,
    derpPort,
    httpPort: await freePort("tcp"),
    stunPort: await freePort("udp"),
    key: join(files.folder, "derper.key"),
    certs: join(files.folder, "certs"),
  };
}

async function exitStatus({ process: child }: RelayProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, "exit");
  return child.exitCode;
}

/** Waits until the ports that are expected are open, and looks at all. */
async function look(
  kind: RelayKind,
  relay: RelayProcess,
  place: Place,
  { http = usual.http }: Partial<Seen>,
): Promise<Seen> {
  const httpPort = http === "closed" ? undefined : place.httpPort;
  await accepts({ kind, derpPort: place.derpPort, httpPort }, relay);
  const main = (await answersTls(place)) ? "TLS" : "plain HTTP";
  return {
    main,
    derp: await ask(place, main, get("/derp", ["Connection: Upgrade", "Upgrade: DERP"])),
    home: await ask(place, main, get("/")),
    http: await lookAtHttp(place.httpPort),
    stun: await lookAtStun(place.stunPort),
  };
}

async function answersTls(place: Place): Promise<boolean> {
  try {
    (await openTls(place)).destroy();
    return true;
  } catch {
    return false; // Whether it is plain HTTP then, the answers show.
  }
}

async function ask(place: Place, main: Seen["main"], request: string): Promise<string> {
  const socket = main === "TLS" ? await openTls(place) : await openTcp(place.derpPort);
  try {
    socket.write(request);
    return (await new Incoming(socket).takeThrough("\r\n")).toString("latin1").trimEnd();
  } finally {
    socket.destroy();
  }
}

async function lookAtHttp(port: number): Promise<Seen["http"]> {
  let incoming: Incoming;
  try {
    incoming = await tell(port, get("/x"));
  } catch {
    return "closed";
  }
  assert.equal((await readAnswer(incoming, "GET")).statusLine, "HTTP/1.1 302 Found");
  return "redirects";
}

/** Says something on a plain connection, which ends with its answer. */
async function tell(port: number, request: string): Promise<Incoming> {
  const socket = await openTcp(port);
  socket.end(request);
  return new Incoming(socket);
}

/** A port that can be bound on every address is nobody's. */
async function lookAtStun(port: number): Promise<Seen["stun"]> {
  const probe = createSocket("udp4");
  probe.bind(port);
  const free = await once(probe, "listening").then(
    () => true,
    () => false,
  );
  if (free) {
    probe.close();
    return "closed";
  }
  const client = createSocket("udp4");
  try {
    client.send(encodeBindingRequest(randomBytes(12)), port, "127.0.0.1");
    const [answer] = (await once(client, "message", { signal: AbortSignal.timeout(patienceMs) })) as [Buffer];
    assert.equal(answer.readUInt16BE(0), 0x0101);
    return "answers";
  } finally {
    client.close();
  }
}
