/**
 * Secrets of an AWS instance: encrypted parameters of Systems Manager, which the instance's own role may read. The role's
 * credentials come from the metadata service, version 2 (a token first), and last some hours; none is kept.
 */
import type { Agent } from "node:http";
import { AwsV4Signer } from "aws4fetch";
import * as v from "valibot";
import { KitError } from "../errors.ts";
import { describeFailure } from "../outbound/failure.ts";
import { sendRequest } from "../outbound/http.ts";

export interface InstanceSecretsOptions {
  /** `http://169.254.169.254/` on an instance. */
  readonly metadata: URL;
  /** Of Systems Manager in a region; by default AWS' own. */
  readonly endpointOf?: (region: string, domain: string) => URL;
  readonly agentFor: (url: URL) => Agent;
  readonly signal: AbortSignal;
}

const credentialsSchema = v.object({
  AccessKeyId: v.string(),
  SecretAccessKey: v.string(),
  Token: v.string(),
});
const parameterSchema = v.object({ Parameter: v.object({ Value: v.string() }) });

const maxBytes = 65_536;

/**
 * Reads secrets.
 *
 * @param pathOf the parameter of a secret's name
 * @returns values by name
 * @throws KitError `secret-unreadable` that names the parameter and shows nothing of it
 */
export async function readInstanceSecrets(
  names: readonly string[],
  pathOf: (name: string) => string,
  options: InstanceSecretsOptions,
): Promise<ReadonlyMap<string, string>> {
  const ask = await openMetadata(options);
  const region = await ask("placement/region");
  const domain = await ask("services/domain");
  const role = (await ask("iam/security-credentials/")).split("\n")[0] ?? "";
  const credentials = parse(
    credentialsSchema,
    await ask(`iam/security-credentials/${role}`),
    "the metadata service",
  );
  const endpoint = (options.endpointOf ?? usualEndpoint)(region, domain);
  const secrets = new Map<string, string>();
  for (const name of names) {
    secrets.set(name, await readParameter(pathOf(name), endpoint, region, credentials, options));
  }
  return secrets;
}

function usualEndpoint(region: string, domain: string): URL {
  return new URL(`https://ssm.${region}.${domain}/`);
}

/** @returns asks for one text below `latest/meta-data/` */
async function openMetadata({ metadata, agentFor, signal }: InstanceSecretsOptions) {
  const send = async (
    method: "GET" | "PUT",
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<string> => {
    const url = new URL(path, metadata);
    const reply = await sendRequest({ url, method, headers, agent: agentFor(url), maxBytes, signal }).catch(
      (cause: unknown) => {
        throw unreadable("the metadata service", describeFailure(cause));
      },
    );
    if (reply.status !== 200) throw unreadable(url.pathname, `HTTP status ${reply.status}`);
    return reply.body.toString();
  };
  const token = await send("PUT", "latest/api/token", { "X-aws-ec2-metadata-token-ttl-seconds": "300" });
  return (path: string) => send("GET", `latest/meta-data/${path}`, { "X-aws-ec2-metadata-token": token });
}

async function readParameter(
  parameter: string,
  endpoint: URL,
  region: string,
  { AccessKeyId, SecretAccessKey, Token }: v.InferOutput<typeof credentialsSchema>,
  { agentFor, signal }: InstanceSecretsOptions,
): Promise<string> {
  const body = JSON.stringify({ Name: parameter, WithDecryption: true });
  const signed = await new AwsV4Signer({
    method: "POST",
    url: endpoint.href,
    headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameter" },
    body,
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    service: "ssm",
    region,
  }).sign();
  const headers = {
    ...Object.fromEntries(signed.headers),
    "Content-Length": String(Buffer.byteLength(body)),
  };
  const agent = agentFor(endpoint);
  const reply = await sendRequest({
    url: endpoint,
    method: "POST",
    headers,
    body,
    agent,
    maxBytes,
    signal,
  }).catch((cause: unknown) => {
    throw unreadable(parameter, describeFailure(cause));
  });
  if (reply.status !== 200) throw unreadable(parameter, `HTTP status ${reply.status}, ${typeOf(reply.body)}`);
  return parse(parameterSchema, reply.body.toString(), parameter).Parameter.Value;
}

/** What AWS calls the refusal; its message might quote what was asked. */
function typeOf(body: Buffer): string {
  const [, type = "no reason given"] = /"__type":"(?:[^"#]*#)?([A-Za-z]{1,60})"/.exec(body.toString()) ?? [];
  return type;
}

/** What does not parse is not shown: it may be the secret. */
function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
  where: string,
): v.InferOutput<Schema> {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    throw unreadable(where, "an answer of another form");
  }
}

function unreadable(where: string, what: string): KitError {
  return new KitError("secret-unreadable", {
    where,
    message: `A secret of this machine cannot be read: ${what}.`,
  });
}
