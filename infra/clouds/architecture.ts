/** What kind of processor a machine has, by the cloud's own name of its type. Pure. */
import type { CloudName } from "./places.ts";

/** As Node.js and npm call them. */
export type Architecture = "arm64" | "x64";

/** At AWS by the letter behind the family's number: `t4g` is Arm, `t3` and `g4dn` are not. At Hetzner by the family. */
const arm: Readonly<Record<Exclude<CloudName, "local">, RegExp>> = {
  aws: /^(?:a1|[a-z]+\d+g[a-z]*)\./,
  hetzner: /^cax/,
};

/** The architecture of a size. */
export function architectureOf(cloud: Exclude<CloudName, "local">, size: string): Architecture {
  return arm[cloud].test(size) ? "arm64" : "x64";
}
