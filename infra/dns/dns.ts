/** What DNS is to the fleet: somebody who makes records, or nobody. A new provider is one new file beside this one. */
import type * as pulumi from "@pulumi/pulumi";

export interface DnsRecord {
  readonly name: string;
  readonly type: "A" | "AAAA" | "CAA";
  /** As a zone file has it. */
  readonly content: string;
  /** Seconds. */
  readonly ttl: number;
}

/** A record whose content only the cloud may know. */
export type PlannedRecord = Omit<DnsRecord, "content"> & { readonly content: pulumi.Input<string> };

export interface Dns {
  readonly ttl: number;
  /** True if it makes records of this name. */
  serves(hostName: string): boolean;
  /**
   * Declares records.
   *
   * @param name prefix of the resources' names
   * @returns what has to be there before the machine boots
   */
  createRecords(
    records: readonly PlannedRecord[],
    name: string,
    options: pulumi.CustomResourceOptions,
  ): pulumi.Resource[];
}

/** Nobody makes records: the output lists them. */
export function noDns(ttl: number): Dns {
  return { ttl, serves: () => false, createRecords: () => [] };
}
