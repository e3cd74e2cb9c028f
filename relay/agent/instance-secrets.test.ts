import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { KitError } from "../errors.ts";
import { buildAgents } from "../outbound/http.ts";
import { readInstanceSecrets } from "./instance-secrets.ts";

const secret = "hunter2-77c1";
const credentials = { AccessKeyId: "AKIATEST", SecretAccessKey: "key", Token: "session" };

/** Metadata and Systems Manager of an instance in eu-central-1. @param answer of the latter */
async function startCloud(
  t: TestContext,
  answer: (name: string, response: ServerResponse, request: IncomingMessage) => void,
) {
  const metadata: Readonly<Record<string, string>> = {
    "/latest/meta-data/placement/region": "eu-central-1",
    "/latest/meta-data/services/domain": "amazonaws.com",
    "/latest/meta-data/iam/security-credentials/": "derpkit-901-role",
    "/latest/meta-data/iam/security-credentials/derpkit-901-role": JSON.stringify(credentials),
  };
  const server = createServer((request, response) => void handle(request, response));
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = "", headers } = request;
    if (method === "PUT" && url === "/latest/api/token") return void response.end("token");
    if (method === "POST") return answer(JSON.parse(await text(request)).Name, response, request);
    if (headers["x-aws-ec2-metadata-token"] !== "token") return void response.writeHead(401).end();
    const found = metadata[url];
    return void (found === undefined ? response.writeHead(404).end() : response.end(found));
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  const base = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const asked: string[] = [];
  return {
    asked,
    read: (...names: string[]) =>
      readInstanceSecrets(names, (name) => `/derpkit/prod/901a/${name}`, {
        metadata: base,
        endpointOf: (region, domain) => {
          asked.push(`${region} ${domain}`);
          return base;
        },
        agentFor: buildAgents({ env: {} }),
        signal: t.signal,
      }),
  };
}

test("a machine's secrets are read with its role, in its own region, signed", async (t) => {
  const seen: string[] = [];
  const { read, asked } = await startCloud(t, (name, response, { headers }) => {
    seen.push(name);
    assert.match(
      String(headers["authorization"]),
      /^AWS4-HMAC-SHA256 Credential=AKIATEST\/\d{8}\/eu-central-1\/ssm\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/,
    );
    assert.equal(headers["x-amz-security-token"], "session");
    assert.equal(headers["x-amz-target"], "AmazonSSM.GetParameter");
    response.end(JSON.stringify({ Parameter: { Name: name, Value: secret } }));
  });
  assert.deepEqual(
    await read("tailnet-api", "mesh-key"),
    new Map([
      ["tailnet-api", secret],
      ["mesh-key", secret],
    ]),
  );
  assert.deepEqual(seen, ["/derpkit/prod/901a/tailnet-api", "/derpkit/prod/901a/mesh-key"]);
  assert.deepEqual(asked, ["eu-central-1 amazonaws.com"]);
});

const troubles: Readonly<Record<string, readonly [(response: ServerResponse) => void, RegExp]>> = {
  "that its role may not read": [
    (response) =>
      response.writeHead(400).end('{"__type":"AccessDeniedException","message":"not hunter2-77c1"}'),
    /HTTP status 400, AccessDeniedException/,
  ],
  "that is not there": [
    (response) => response.writeHead(400).end('{"__type":"com.amazonaws#ParameterNotFound"}'),
    /ParameterNotFound/,
  ],
  "whose answer is no answer": [(response) => response.end(`"${secret}"`), /an answer of another form/],
  "whose answer never comes": [(response) => response.destroy(), /cannot be read/],
};

for (const [what, [answer, says]] of Object.entries(troubles)) {
  test(`a secret ${what} is an error that names it and shows nothing of it`, async (t) => {
    const { read } = await startCloud(t, (_, response) => answer(response));
    await assert.rejects(read("tailnet-api"), (error) => {
      assert.ok(error instanceof KitError && error.code === "secret-unreadable");
      assert.match(error.message, says);
      assert.equal(error.where, "/derpkit/prod/901a/tailnet-api");
      assert.doesNotMatch(JSON.stringify(error) + error.message, new RegExp(secret));
      return true;
    });
  });
}
