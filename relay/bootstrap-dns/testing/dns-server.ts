/** A DNS server on loopback that knows a few names, as much of RFC 1035 as a resolver notices. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import { encodeIp } from "../../ip-address.ts";
import { temporaryFolder } from "../../testing/temporary-folder.ts";
import { openResolver, type ResolverOptions } from "../resolver.ts";

/** What is known of a name. A TXT record is the list of its strings. */
export interface Zone {
  readonly a?: readonly string[] | typeof silence;
  readonly aaaa?: readonly string[] | typeof silence;
  readonly txt?: readonly (readonly string[])[] | typeof silence;
}

/** In the place of records: the question gets no answer. */
export const silence = "silence";
export const silent: Zone = { a: silence, aaaa: silence, txt: silence };

export interface DnsServer {
  /** Where a resolver finds this server, and no names but its own. */
  readonly resolver: Required<Omit<ResolverOptions, "signal">>;
  /** By name; one that is not there does not exist. */
  readonly zones: Map<string, Zone>;
  /** What was asked so far, as `name type`. */
  readonly asked: string[];
  /** What a resolver was told to ask before has been asked by then, and has its answer. */
  settled(): Promise<void>;
}

const barrier = "barrier.test";

const types = new Map([
  [1, "a"],
  [16, "txt"],
  [28, "aaaa"],
] as const);
type RecordType = "a" | "txt" | "aaaa";

/** @param hosts content of the hosts file that goes before it */
export async function startDnsServer(
  t: TestContext,
  zones: Readonly<Record<string, Zone>> = {},
  hosts = "",
): Promise<DnsServer> {
  const hostsFile = path.join(temporaryFolder(t), "hosts");
  await writeFile(hostsFile, hosts);
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const server: DnsServer = {
    resolver: { servers: [`127.0.0.1:${socket.address().port}`], hostsFile },
    zones: new Map(Object.entries(zones)),
    asked: [],
    async settled() {
      const resolver = await openResolver({ ...server.resolver, signal: new AbortController().signal });
      await assert.rejects(resolver.texts(barrier), { code: "ENOTFOUND" });
    },
  };
  socket.on("message", (query, { port, address }) => {
    const response = respond(query, server);
    if (response !== undefined) socket.send(response, port, address);
  });
  return server;
}

function respond(query: Buffer, { zones, asked }: DnsServer): Buffer | undefined {
  const { name, type, question } = readQuestion(query);
  if (name !== barrier) asked.push(`${name} ${type}`);
  const zone = zones.get(name);
  const records = (type === undefined ? undefined : zone?.[type]) ?? [];
  if (records === silence) return undefined;
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(zone === undefined ? 0x8183 : 0x8180, 2); // Answer, recursion; NXDOMAIN or no error.
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const answers = records.map((record) => encodeRecord(query.readUInt16BE(12 + question.length - 4), record));
  return Buffer.concat([header, question, ...answers]);
}

function readQuestion(query: Buffer): { name: string; type: RecordType | undefined; question: Buffer } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = types.get(query.readUInt16BE(at + 1) as 1);
  return { name: labels.join("."), type, question: query.subarray(12, at + 5) };
}

function encodeRecord(type: number, record: string | readonly string[]): Buffer {
  const data =
    typeof record === "string"
      ? (encodeIp(record) ?? Buffer.alloc(0))
      : Buffer.concat(record.map(encodeString));
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // The name is the question's.
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeString(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]);
}
