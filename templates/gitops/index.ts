import { createFleet } from "derpkit";

export const { derpMap, derpMapJson, unverified, nodes, dnsRecords, next, releases } = await createFleet();
