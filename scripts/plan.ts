/** `npm run plan`: what a stack would give, without an account, Pulumi's CLI or a network. */
import type { FleetNode } from "../infra/clouds/cloud.ts";
import type { DnsRecord } from "../infra/dns/dns.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { renderTable } from "./cli/output.ts";
import { type PlannedResource, runProgram } from "./cli/program.ts";
import { resolveStack } from "./cli/stack-file.ts";

export const command: Command = {
  name: "plan",
  summary: "Show the resources and the derpMap that a stack would give, offline.",
  usage: "[--stack NAME]",
  flags: {
    stack: { type: "string", value: "NAME", help: "stack name or path of a stack file; default local" },
  },
  about: [
    "Runs the Pulumi program without Pulumi's CLI. What only the cloud knows reads (known after up).",
    "For a local stack the ports and pins are chosen here, once, if they were not before.",
  ].join("\n"),
  run,
};

async function run({ flags, out }: CommandContext): Promise<ExitStatus> {
  const stack = await resolveStack(typeof flags["stack"] === "string" ? flags["stack"] : undefined);
  const { resources, derpMap, nodes, dnsRecords, next } = await runProgram(stack, (message) =>
    out.note(`warning: ${message}`),
  );
  out.document({ resources, outputs: { derpMap, nodes, dnsRecords, next }, ok: true });
  if (out.json) return 0;
  out.line(`Resources of ${stack.file}\n`);
  for (const line of renderTree(resources)) out.line(line);
  out.line(`\n${renderNodes(nodes)}`);
  if (dnsRecords.length > 0) out.line(`\n${renderRecords(dnsRecords)}`);
  out.line("\nWhat to do after `pulumi up`");
  for (const [index, sentence] of next.entries()) out.line(`${index + 1}. ${sentence}`);
  out.line(`\nderpMap\n${JSON.stringify(derpMap, null, 2)}`);
  return 0;
}

function renderNodes(nodes: readonly FleetNode[]): string {
  const rows = nodes.map(({ name, regionCode, hostName, ipv4, ipv6, derpPort, stunPort }) =>
    [name, regionCode, hostName, ipv4, ipv6, derpPort, stunPort].map(String),
  );
  return renderTable(["node", "region", "host name", "IPv4", "IPv6", "DERP (TCP)", "STUN (UDP)"], rows);
}

function renderRecords(records: readonly DnsRecord[]): string {
  const rows = records.map(({ name, ttl, type, content }) => [name, String(ttl), type, content]);
  return renderTable(["DNS record", "TTL", "type", "content"], rows);
}

/** Renders resources as a tree: each below its parent, as `pulumi up` shows them. */
function renderTree(resources: readonly PlannedResource[], parent?: string, indent = ""): string[] {
  const children = resources.filter((resource) => resource.parent === parent);
  return children.flatMap((child, index) => {
    const isLast = index === children.length - 1;
    const [branch, below] = parent === undefined ? ["", ""] : isLast ? ["└─ ", "   "] : ["├─ ", "│  "];
    return [
      `${indent}${branch}${child.name}  ${child.type}`,
      ...renderTree(resources, child.name, indent + below),
    ];
  });
}
