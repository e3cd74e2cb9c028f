/**
 * A way to Let's Encrypt that ends at Pebble, for programs that know no other authority: a proxy, as companies have it,
 * leads there, and who goes that way is given a root to trust.
 */
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer, request } from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import path from "node:path";
import type { TestContext } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import type { Pebble } from "./pebble.ts";
import { createTestAuthority } from "./test-authority.ts";

export interface LetsEncrypt {
  /** For who is to go that way: Go's programs heed these. */
  readonly env: Readonly<Record<"HTTPS_PROXY" | "SSL_CERT_FILE", string>>;
  /** How many connections the proxy was asked for, to whomever. */
  connections(): number;
}

const host = "acme-v02.api.letsencrypt.org";

/** Opens the way until the end of the test. */
export async function startLetsEncrypt(t: TestContext, pebble: Pebble): Promise<LetsEncrypt> {
  const authority = createTestAuthority();
  const { certificatePem, keyPem } = authority.issue(host);
  const ca = await readFile(pebble.caFile, "utf8");
  const front = createSecureServer({ cert: certificatePem, key: keyPem }, (asked, answer) =>
    forward(asked, answer, pebble.directory, ca),
  );
  const frontPort = await listen(t, front);

  let connections = 0;
  const proxy = createServer().on("connect", ({ url }: IncomingMessage, client) => {
    connections++;
    client.on("error", () => {});
    if (url !== `${host}:443`) {
      client.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      return;
    }
    const inside = connect(frontPort, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(inside).pipe(client);
    });
    inside.on("error", () => client.destroy());
  });
  const proxyPort = await listen(t, proxy);

  const rootFile = path.join(temporaryFolder(t), "root.pem");
  await writeFile(rootFile, authority.certificatePem);
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`, SSL_CERT_FILE: rootFile },
    connections: () => connections,
  };
}

/** Pebble makes its URLs from the Host header, so they lead here again. Only the directory has another path. */
function forward(asked: IncomingMessage, answer: ServerResponse, directory: string, ca: string): void {
  const { port } = new URL(directory);
  const { method, url = "/", headers } = asked;
  const where = url === "/directory" ? "/dir" : url;
  const inner = request({ host: "127.0.0.1", port, ca, servername: "", method, path: where, headers });
  inner.on("response", (response: IncomingMessage) => {
    // Let's Encrypt says where an order is that it finalizes, and Go's client relies on it. Pebble does not.
    const order = /^\/finalize-order\/(.+)/.exec(url)?.[1];
    const location = order === undefined ? {} : { location: `https://${host}/my-order/${order}` };
    answer.writeHead(response.statusCode ?? 502, { ...response.headers, ...location });
    response.pipe(answer);
  });
  inner.on("error", () => answer.destroy());
  asked.pipe(inner);
}

async function listen(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}
