/** Reads a derpMap as Tailscale's Go code would, and reports everything that a client would trip over. Pure. */
import * as v from "valibot";
import { KitError, type Problem } from "../../relay/errors.ts";
import { findContradictions } from "./contradictions.ts";
import { type DerpMap, regionsOf } from "./derp-map.ts";

const text = v.nullish(v.string("has to be text"), "");
const required = v.pipe(text, v.nonEmpty("is missing or empty"));
const id = v.pipe(
  v.nullish(v.number("has to be a number, not text"), 0),
  v.safeInteger("has to be a whole number"),
  v.minValue(1, "is missing, or less than 1"),
);

/** Go's zero value stands for the protocol's default port. */
const port = (least: number, standard: number) =>
  v.pipe(
    v.nullish(v.number("has to be a number, not text"), 0),
    v.integer("has to be a whole number"),
    v.minValue(least, `has to be from ${least} to 65535`),
    v.maxValue(65_535, `has to be from ${least} to 65535`),
    v.transform((number) => (number === 0 ? standard : number)),
  );

const flag = v.exactOptional(
  v.pipe(
    v.nullable(v.boolean("has to be true or false")),
    v.transform((given) => given === true),
  ),
);

const number = v.exactOptional(
  v.pipe(
    v.nullable(v.number("has to be a number, not text")),
    v.transform((given) => given ?? 0),
  ),
);

const nodeSchema = v.object(
  {
    CanPort80: flag,
    CertName: v.pipe(
      text,
      v.check(
        (name) => !name.startsWith("sha256-raw:") || /^sha256-raw:[0-9a-f]{64}$/.test(name),
        "has to be sha256-raw: and 64 lower-case hex digits",
      ),
    ),
    DERPPort: port(0, 443),
    HostName: required,
    IPv4: text,
    IPv6: text,
    InsecureForTests: flag,
    Name: required,
    RegionID: id,
    STUNOnly: flag,
    STUNPort: port(-1, 3478),
    STUNTestIP: v.exactOptional(text),
  },
  "has to be a node: an object",
);

const regionSchema = v.object(
  {
    Avoid: flag,
    Latitude: number,
    Longitude: number,
    NoMeasureNoHome: flag,
    Nodes: v.nullish(v.array(nodeSchema, "has to be a list of nodes"), []),
    RegionCode: text,
    RegionID: id,
    RegionName: text,
  },
  "has to be a region: an object",
);

const homeSchema = v.object(
  {
    RegionScore: v.exactOptional(
      v.record(
        v.string(),
        v.number("has to be a number, not text"),
        "has to be an object with numbers by region ids",
      ),
    ),
  },
  "has to be an object with RegionScore",
);

/** A region that is null takes one of Tailscale's own out of the map. There is nothing in it to look at. */
const mapSchema = v.object(
  {
    HomeParams: v.exactOptional(homeSchema),
    OmitDefaultRegions: flag,
    Regions: v.record(v.string(), v.nullable(regionSchema), "has to be an object with regions by their ids"),
  },
  ({ expected }) => (expected === "Object" ? "has to be a derpMap: an object with Regions" : "is missing"),
);

/**
 * Parses a derpMap, or an object that has one as its member `derpMap`, such as the output of `npm start -- --json`.
 *
 * Names are taken in any case, as Go does. Unknown fields are left out, default ports put in.
 *
 * @param json the text
 * @param mayBeEmpty true where a map without a relay is as good as any
 * @throws KitError `derpmap-invalid` with every problem and its path
 */
export function parseDerpMap(json: string, mayBeEmpty = false): DerpMap {
  const result = v.safeParse(mapSchema, decode(json));
  if (!result.success) throw invalid(result.issues.map(renderIssue));
  const map: DerpMap = result.output;
  const problems = findContradictions(map);
  if (!mayBeEmpty && regionsOf(map).length === 0)
    problems.push({ path: "Regions", message: "is empty: there is no relay in it" });
  if (problems.length > 0) throw invalid(problems);
  return map;
}

function decode(json: string): unknown {
  try {
    const value: unknown = JSON.parse(json, (_, member: unknown) => restoreNames(member));
    return typeof value === "object" && value !== null && "derpMap" in value ? value.derpMap : value;
  } catch (cause) {
    throw new KitError("derpmap-invalid", { message: "The derpMap is not JSON.", cause });
  }
}

const names = ["derpMap", mapSchema, homeSchema, regionSchema, nodeSchema].flatMap((part) =>
  typeof part === "string" ? part : Object.keys(part.entries),
);
const nameOf = new Map(names.map((name) => [name.toLowerCase(), name]));

/** Spells the names of an object's members as we know them. Of two spellings the last counts, as in Go. */
function restoreNames(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [nameOf.get(name.toLowerCase()) ?? name, member]),
  );
}

function renderIssue({ path, message }: v.BaseIssue<unknown>): Problem {
  const keys = path?.map(({ key }) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)) ?? [];
  return { path: keys.join("").replace(/^\./, "") || "derpMap", message };
}

function invalid(problems: readonly Problem[]): KitError {
  return new KitError("derpmap-invalid", { message: "The derpMap has mistakes.", problems });
}
