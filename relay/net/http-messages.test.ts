import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { plainRequest, respond } from "./http-messages.ts";

test("of a request counts what it asks for, its challenge, where it comes from and whether it may debug", async (t) => {
  const server = createServer();
  t.after(() => server.close().closeAllConnections());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const asking = get({
    port,
    host: "127.0.0.1",
    path: "/a?q=b",
    headers: { "X-Tailscale-Challenge": "ts_x" },
  });
  const [message, response] = (await once(server, "request")) as [IncomingMessage, ServerResponse];
  assert.deepEqual(
    plainRequest(message, ({ remoteAddress }) => remoteAddress === "127.0.0.1"),
    { method: "GET", target: "/a?q=b", challenge: "ts_x", remoteAddress: "127.0.0.1", mayDebug: true },
  );
  respond(message, response, { status: 204, headers: {}, body: "" });
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  assert.equal(answer.statusCode, 204);
});
