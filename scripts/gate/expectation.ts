/** What a gate is told on its standard input. */
import * as v from "valibot";
import type { DerpMap } from "../../infra/derpmap/derp-map.ts";
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import { KitError } from "../../relay/errors.ts";
import type { ExpectedRelease } from "../verify/checks/http.ts";

const expectationSchema = v.object({
  derpMap: v.unknown(),
  bundle: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  sequence: v.optional(v.nullable(v.number()), null),
  secrets: v.optional(v.record(v.string(), v.number()), {}),
  closed: v.optional(v.boolean(), false),
  require: v.array(v.picklist(["ipv4", "ipv6"])),
});

export interface Expectation extends Omit<v.InferOutput<typeof expectationSchema>, "derpMap"> {
  readonly derpMap: DerpMap;
}

/** @throws KitError `usage` */
export function parseExpectation(json: string): Expectation {
  try {
    const { derpMap, ...rest } = v.parse(expectationSchema, JSON.parse(json));
    return { ...rest, derpMap: parseDerpMap(JSON.stringify(derpMap)) };
  } catch (cause) {
    if (cause instanceof KitError) throw cause;
    throw new KitError("usage", {
      message: "Standard input is not what a gate expects.",
      fix: "npm run gate -- --help shows it.",
      cause,
    });
  }
}

/** What a node has to run. */
export function expectedOf(
  { bundle, sequence, secrets }: Pick<Expectation, "bundle" | "sequence" | "secrets">,
  node: string,
): ExpectedRelease {
  return { bundle: bundle ?? undefined, sequence: sequence ?? undefined, secrets: secrets[node] };
}
