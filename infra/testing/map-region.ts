/** A region of a map that has nothing in common with any other. */
import type { MapRegion } from "../derpmap/build.ts";

/** @param id from 900 on, from which all else of it follows */
export function mapRegion(id: number, code = `r${id}`): MapRegion {
  return {
    id,
    code,
    name: `Region ${id}`,
    state: "serving",
    nodes: [
      {
        name: `${id}a`,
        hostName: `${id}a.example.com`,
        certName: "",
        ipv4: `8.8.${id - 900}.1`,
        ipv6: "none",
        derpPort: 443,
        stunPort: 3478,
      },
    ],
  };
}
