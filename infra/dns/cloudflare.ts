/**
 * Cloudflare's DNS. Records are never proxied: the proxy speaks HTTP, DERP does not, and it would hide the addresses that
 * clients are told. Two records that are the same clash, so an old one goes before its successor comes.
 */
import * as cloudflare from "@pulumi/cloudflare";
import * as pulumi from "@pulumi/pulumi";
import { KitError } from "../../relay/errors.ts";
import { isInZone } from "../config/names.ts";
import { describeRefusal, requireToken } from "../provider.ts";
import type { Dns, PlannedRecord } from "./dns.ts";

/**
 * Opens a zone.
 *
 * @param offline true where no cloud is asked: the zone's id stays unknown
 * @throws KitError `cloud-credentials`, `dns-zone`
 */
export async function openCloudflare(zone: string, ttl: number, offline: boolean): Promise<Dns> {
  if (!offline) requireToken(token);
  const zoneId = offline ? pulumi.output(pulumi.unknown).apply(String) : await findZone(zone);
  return {
    ttl,
    serves: (hostName) => isInZone(hostName, zone),
    createRecords: (records, name, options) =>
      records.map(
        (record) =>
          new cloudflare.DnsRecord(
            `${name}-${record.type.toLowerCase()}`,
            {
              zoneId,
              name: record.name,
              type: record.type,
              ttl: record.ttl,
              proxied: false,
              ...contentOf(record),
            },
            // Who may certify a name changes with the configuration; where it leads to is the node's identity.
            { ...options, deleteBeforeReplace: true, ...(record.type === "CAA" ? { protect: false } : {}) },
          ),
      ),
  };
}

const token = {
  owner: "Cloudflare",
  namespace: "cloudflare",
  key: "apiToken",
  variable: "CLOUDFLARE_API_TOKEN",
  needs: "Zone:Read and DNS:Edit of the zone",
};

async function findZone(zone: string): Promise<string> {
  try {
    const { zoneId } = await cloudflare.getZone({ filter: { name: zone } });
    if (zoneId !== undefined && zoneId !== "") return zoneId;
  } catch (cause) {
    throw new KitError("dns-zone", {
      message: `Cloudflare does not show the zone ${zone}: ${describeRefusal(cause)}`,
    });
  }
  throw new KitError("dns-zone", { message: `Cloudflare does not show the zone ${zone}.` });
}

/** A CAA record is data here; of a zone file's `0 issue "ca; parameters"` these are the parts. */
function contentOf({ type, content }: PlannedRecord): Pick<cloudflare.DnsRecordArgs, "content" | "data"> {
  if (type !== "CAA") return { content };
  const data = pulumi.output(content).apply((text) => {
    const [, flags, tag = "", value = ""] = /^(\d+) (\w+) "(.*)"$/.exec(text) ?? [];
    return { flags: Number(flags), tag, value };
  });
  return { data };
}
