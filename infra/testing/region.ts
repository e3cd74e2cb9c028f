/** A region as a checked configuration gives it. */
import { buildFleetConfig, type RegionConfig } from "../config/fleet.ts";
import { fleetSchema, type regionSchema } from "../config/schema.ts";
import * as v from "valibot";

/** @param written what differs from region 901 in Falkenstein, with the keys of a stack file */
export function regionOf(written: Partial<v.InferInput<typeof regionSchema>> = {}): RegionConfig {
  const base = { id: 901, code: "alfa", name: "Alfa", cloud: "hetzner", location: "fsn1" } as const;
  const fleet = {
    domain: "derp.example.com",
    regions: [{ ...base, admission: { anyone: true }, ...written }],
  };
  const [region] = buildFleetConfig(v.parse(fleetSchema, fleet)).regions;
  if (region === undefined) throw new Error("there is no region");
  return region;
}
