/**
 * Looks names up as Go's resolver does: an address stands for itself, then the hosts file, then DNS for A and AAAA.
 *
 * Not by `dns.lookup`, which is the system's getaddrinfo on one of Node's few threads: it cannot be called off, and
 * while it waits for a DNS server that is silent, other lookups wait for a thread, and the process, when it is to end,
 * waits for 10 s and more. These questions leave from the event loop, and end when they are told to.
 *
 * Unlike Go's, it does not try a name with the domains of `search` in resolv.conf: clients ask for whole names.
 */
import { BADNAME, NODATA } from "node:dns";
import dns from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { normaliseIp } from "../ip-address.ts";
import { findHost, type Hosts, parseHosts } from "./hosts-file.ts";
import { isDomainName } from "./names.ts";

export interface NameResolver {
  /** The addresses of a name, at least one. @throws Error with a `code` such as ENOTFOUND, or the signal's reason */
  addresses(name: string): Promise<readonly string[]>;
  /** The TXT records of a name, each with its strings joined. @throws Error likewise */
  texts(name: string): Promise<readonly string[]>;
}

export interface ResolverOptions {
  /** Ends what is still looked up. */
  readonly signal: AbortSignal;
  /** DNS servers, `ip` or `ip:port`; those of resolv.conf by default. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
}

/** As resolv.conf(5) has it, and Go. Node's own tries take 25 s. */
const [tryMs, tries] = [5_000, 2];

/** Makes a resolver by what the machine's files say now. */
export async function openResolver(options: ResolverOptions): Promise<NameResolver> {
  const { signal, servers, hostsFile = "/etc/hosts" } = options;
  const hosts = await readHosts(hostsFile);
  const resolver = new dns.Resolver({ timeout: tryMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  signal.addEventListener("abort", () => resolver.cancel(), { once: true });
  const ask = async <T>(name: string, question: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    if (!isDomainName(name)) throw withCode("is no domain name", BADNAME);
    try {
      return await question();
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  };
  return {
    async addresses(name) {
      const address = normaliseIp(name);
      if (address !== undefined) return [address];
      const ofBothFamilies = () => union([resolver.resolve4(name), resolver.resolve6(name)]);
      return findHost(hosts, name) ?? (await ask(name, ofBothFamilies));
    },
    async texts(name) {
      const records = await ask(name, () => resolver.resolveTxt(name));
      // Bun takes each string for a record (oven-sh/bun#21370); nobody writes a percentage in two.
      return records.map((strings) => strings.join(""));
    },
  };
}

/** A file that cannot be read names nobody. */
async function readHosts(path: string): Promise<Hosts> {
  return parseHosts(await readFile(path, "utf8").catch(() => ""));
}

/** What any of the questions has brought: that a name has no AAAA record, for one, is common. */
async function union(questions: readonly Promise<string[]>[]): Promise<readonly string[]> {
  const answers = await Promise.allSettled(questions);
  const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return addresses.map((address) => normaliseIp(address) ?? address);
  const failure = answers.find((answer) => answer.status === "rejected");
  throw failure?.reason ?? withCode("has no address", NODATA);
}

function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
