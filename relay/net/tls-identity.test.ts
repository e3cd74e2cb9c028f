import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { connect, createSecureContext, createServer } from "node:tls";
import { createSelfSigned, pinnedValidity } from "../crypto/self-signed.ts";
import { relayPublic } from "../testing/vectors.ts";
import { contextOptions, listenerOptions, unnamedOptions } from "./tls-identity.ts";

/** A listener as the relay has one, whose certificate can be exchanged. */
async function listen(t: TestContext, hostName: string) {
  const make = () => {
    const { certificatePem, keyPem } = createSelfSigned({ hostName, ...pinnedValidity(new Date()) });
    return contextOptions({ chain: certificatePem, key: keyPem }, relayPublic, new Date());
  };
  let options = make();
  const server = createServer({
    ...unnamedOptions(hostName, options),
    ...listenerOptions(hostName, () => createSecureContext(options)),
  });
  server.on("secureConnection", (socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const renew = (): void => {
    options = make();
    server.setSecureContext(unnamedOptions(hostName, options));
  };
  return { port: (server.address() as AddressInfo).port, renew };
}

/** The fingerprint of the certificate that a client is shown. */
async function shown(port: number, servername: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

test("39. a renewed certificate is shown from then on: to those who name the host, and to nobody else", async (t) => {
  const { port, renew } = await listen(t, "relay.example");
  const before = await shown(port, "relay.example");
  assert.equal(await shown(port, "relay.example"), before);
  renew();
  assert.notEqual(await shown(port, "relay.example"), before);
  for (const name of ["", "other.example", "Relay.example"])
    await assert.rejects(shown(port, name), /alert handshake failure/, name);
});

test("37. a listener whose host is an IP address shows a renewed certificate whatever a client names", async (t) => {
  const { port, renew } = await listen(t, "127.0.0.1");
  const before = await shown(port, "");
  renew();
  const after = await shown(port, "");
  assert.notEqual(after, before);
  assert.equal(await shown(port, "any.example"), after);
});
