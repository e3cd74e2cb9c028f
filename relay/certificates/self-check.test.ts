import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { identify } from "../acme/identifier.ts";
import { createPair } from "../testing/certificate-source.ts";
import { Challenges } from "./challenges.ts";
import { checkSelf, type SelfCheck, type SelfCheckOptions } from "./self-check.ts";

const name = "relay.example";
const methods = ["tls-alpn-01", "http-01"] as const;

async function listen(t: TestContext, server: net.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Shows what a relay does that has these challenges. */
function startTls(t: TestContext, challenges: Challenges): Promise<number> {
  const server = tls.createServer({
    ALPNProtocols: ["acme-tls/1"],
    SNICallback(servername, done) {
      const pair = challenges.tls(servername);
      done(null, pair && tls.createSecureContext({ cert: pair.chain, key: pair.key }));
    },
  });
  server.on("tlsClientError", () => {});
  return listen(t, server);
}

function startHttp(t: TestContext, challenges: Challenges): Promise<number> {
  const answer = ({ url = "", headers }: IncomingMessage, response: ServerResponse): void => {
    const known = headers.host === name ? challenges.http(url.split("/").at(-1) ?? "") : undefined;
    response.writeHead(known === undefined ? 404 : 200).end(known);
  };
  return listen(t, createServer(answer));
}

/** A port where nothing answers. */
async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function check(
  t: TestContext,
  challenges: Challenges,
  [https, http]: readonly [readonly number[], readonly number[]],
  changes: Partial<SelfCheckOptions> = {},
): Promise<SelfCheck> {
  const ports = { "tls-alpn-01": https, "http-01": http };
  const resolve = async (): Promise<string[]> => ["127.0.0.1"];
  return checkSelf(identify(name), methods, { challenges, ports, resolve, signal: t.signal, ...changes });
}

test("a machine that can be reached finds itself by each way, and leaves no proof behind", async (t) => {
  const challenges = new Challenges();
  const ports = [[await startTls(t, challenges)], [await startHttp(t, challenges)]] as const;
  assert.deepEqual(await check(t, challenges, ports), { reached: methods, fault: undefined });
  assert.equal(challenges.tls(name), undefined);
});

test("an address is asked for by its reverse name", async (t) => {
  const challenges = new Challenges();
  const ports = { "tls-alpn-01": [await startTls(t, challenges)], "http-01": [] };
  const resolve = (): Promise<never> => Promise.reject(new Error("an address is not looked up"));
  const options = { challenges, ports, resolve, signal: t.signal };
  assert.deepEqual((await checkSelf(identify("127.0.0.1"), ["tls-alpn-01"], options)).fault, undefined);
});

test("of several ports one that answers is enough", async (t) => {
  const challenges = new Challenges();
  const closed = await closedPort();
  const ports = [[closed, await startTls(t, challenges)], [closed]] as const;
  assert.deepEqual(await check(t, challenges, ports), { reached: ["tls-alpn-01"], fault: undefined });
});

test("nobody there is said with the place and the reason", async (t) => {
  const challenges = new Challenges();
  const closed = await closedPort();
  const { reached, fault } = await check(t, challenges, [[closed], [await startHttp(t, challenges)]]);
  assert.deepEqual(reached, ["http-01"]);
  assert.match(
    fault ?? "",
    new RegExp(`^nothing answers at 127.0.0.1 port ${closed} \\(.*ECONNREFUSED.*\\): open it`),
  );
});

test("somebody else is told from nobody, however he speaks", async (t) => {
  const challenges = new Challenges();
  const other = createPair(name);
  const strangers = [
    tls.createServer({ cert: other.chain, key: other.key, ALPNProtocols: ["acme-tls/1"] }),
    tls
      .createServer({ cert: other.chain, key: other.key, ALPNProtocols: ["h2"] })
      .on("tlsClientError", () => {}),
    net.createServer((socket) => void socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.9\r\n")),
    net.createServer((socket) => void socket.destroy()),
  ];
  for (const stranger of strangers) {
    const { reached, fault } = await check(t, challenges, [[await listen(t, stranger)], []]);
    assert.deepEqual(reached, []);
    assert.match(
      fault ?? "",
      /^somebody else answers at 127.0.0.1 port \d+: check where relay.example points/,
    );
  }
  const web = createServer((_request, response) => void response.end("it works"));
  const { fault } = await checkSelf(identify(name), ["http-01"], {
    challenges,
    ports: { "tls-alpn-01": [], "http-01": [await listen(t, web)] },
    resolve: async () => ["127.0.0.1"],
    signal: t.signal,
  });
  assert.match(fault ?? "", /^somebody else answers/);
});

test("an address of a name that is somebody else's is a fault, though another is ours", async (t) => {
  const challenges = new Challenges();
  const https = await startTls(t, challenges);
  const stranger = net.createServer((socket) => void socket.destroy()).listen(https, "127.0.0.2");
  t.after(() => stranger.close());
  await once(stranger, "listening");
  const resolve = async (): Promise<string[]> => ["127.0.0.1", "127.0.0.2"];
  const { fault } = await check(t, challenges, [[https], []], { resolve });
  assert.match(fault ?? "", /^somebody else answers at 127.0.0.2/);
});

test("an address without a way to it is no fault, if another is ours", async (t) => {
  const challenges = new Challenges();
  const ports = [[await startTls(t, challenges)], []] as const;
  const resolve = async (): Promise<string[]> => ["127.0.0.3", "127.0.0.1"];
  assert.equal((await check(t, challenges, ports, { resolve })).fault, undefined);
});

test("a name that DNS does not know is said with what to do, and with what DNS said", async (t) => {
  const challenges = new Challenges();
  const resolve = (): Promise<never> => Promise.reject(new Error("getaddrinfo ENOTFOUND relay.example"));
  const { reached, fault } = await check(t, challenges, [[443], [80]], { resolve });
  assert.deepEqual(reached, []);
  assert.match(fault ?? "", /^DNS has no address for relay.example: make A and AAAA records .*ENOTFOUND/);
  const none = await check(t, challenges, [[443], [80]], { resolve: async () => [] });
  assert.match(none.fault ?? "", /^DNS has no address/);
});
