/** What `pulumi up` runs, by way of main.mjs. */
import { createFleet } from "./create-fleet.ts";

export const { derpMap, derpMapJson, unverified, nodes, dnsRecords, next, releases } = await createFleet();
