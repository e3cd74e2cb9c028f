/** `npm run derpmap`: the derpMap of one or more stacks, checked, for who reads it. */
import { resolve } from "node:path";
import { regionsOf } from "../infra/derpmap/derp-map.ts";
import { writeNamed } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { collectMap, type Unverified } from "./derpmap/collect.ts";
import { type Format, formats, renderMap } from "./derpmap/formats.ts";

export const command: Command = {
  name: "derpmap",
  summary: "Write the derpMap of one or more stacks, checked and merged.",
  usage: "--stack NAME [--stack NAME]… [--map FILE]… [--format FORMAT] [--out FILE]",
  about: [
    "Reads what the last `up` of each stack gave, from Pulumi's CLI; a stack on this machine needs neither. Two stacks may not",
    "claim the same region id, code, node name or address. A region whose gate was skipped is left out.",
    "",
    "  tailnet    JSON, the value of derpMap in the tailnet policy (default)",
    "  headscale  YAML, a file for derp.paths of Headscale",
    "  derpprobe  JSON, for derpprobe -derp-map file://…",
    "",
    "  npm run derpmap -- --stack eu --stack us --out derpmap.json",
    "  npm run derpmap -- --stack eu --map by-hand.json --format headscale",
  ].join("\n"),
  flags: {
    stack: { type: "string", multiple: true, value: "NAME", help: "a stack's name or file (repeatable)" },
    map: {
      type: "string",
      multiple: true,
      value: "FILE",
      help: "a derpMap as JSON, merged too (repeatable)",
    },
    format: { type: "string", value: "FORMAT", help: `${formats.join(", ")} (default ${formats[0]})` },
    out: { type: "string", value: "FILE", help: "write there, and not to standard output" },
    local: {
      type: "boolean",
      help: "the relays of --map are on this machine, and nobody else needs to reach them",
    },
    "allow-unverified": { type: "boolean", help: "have regions in it that no gate was passed by" },
  },
  run,
};

async function run({ flags, out }: CommandContext): Promise<ExitStatus> {
  const [stacks, files] = [listOf(flags["stack"]), listOf(flags["map"])];
  if (stacks.length + files.length === 0) throw usage("Give --stack or --map.");
  for (const list of [stacks, files]) {
    if (new Set(list).size < list.length) throw usage("Give each stack and each map once.");
  }
  const format = readFormat(flags["format"]);
  const allowUnverified = flags["allow-unverified"] === true;
  const sources = { stacks, files, local: flags["local"] === true, allowUnverified };
  const { map, unverified } = await collectMap(sources, (message) => out.note(`warning: ${message}`));
  for (const region of unverified) out.note(describeUnverified(region, allowUnverified));
  const text = renderMap(map, format);
  const { out: file } = flags;
  if (typeof file === "string") {
    await writeNamed(resolve(file), `${text}\n`);
    out.line(`${file}: ${regionsOf(map).length} regions, ${format}`);
  } else if (!out.json) out.line(text);
  const shown = unverified.map((region) => ({ ...region, included: allowUnverified }));
  out.document({
    ok: true,
    format,
    derpMap: map,
    unverified: shown,
    ...(format === "headscale" ? { text } : {}),
  });
  return 0;
}

/** Loud where it is in the map: who pushes that gives it to every client. */
function describeUnverified({ owner, id, code, reason }: Unverified, isIncluded: boolean): string {
  const which = `region ${id} (${code}) of ${owner}`;
  return isIncluded
    ? `WARNING: ${which} IS IN THE MAP AND NOT VERIFIED: ${reason}. Clients may make it their home; nobody has seen it serve.`
    : `${which} is left out: ${reason}. --allow-unverified has it in the map.`;
}

function readFormat(text: CommandContext["flags"][string]): Format {
  const format = text ?? formats[0];
  const found = formats.find((each) => each === format);
  if (found === undefined) throw usage(`--format takes ${formats.join(", ")}.`);
  return found;
}

function listOf(flag: CommandContext["flags"][string]): readonly string[] {
  return Array.isArray(flag) ? flag : [];
}

function usage(message: string): KitError {
  return new KitError("usage", { message });
}
