/** What a pull request would do: the preview, the plan and the policy's difference, as a comment. Pure. */
import { renderChange as renderDifference } from "../policy/diff.ts";
import { renderResource } from "../preview/engine-events.ts";
import { type Found, type PreviewDocument, readPlan, readPolicy, readPreview } from "./documents.ts";
import type { Section } from "./markdown.ts";

/** What the commands wrote, by their names; what is not there did not run. */
export type Documents = Readonly<Record<"preview" | "plan" | "policy" | "verify", string | undefined>>;

export interface CheckReport {
  readonly sections: readonly Section[];
  /** What failed, by its title. */
  readonly failed: readonly string[];
}

export function reportCheck(documents: Documents): CheckReport {
  const parts = [
    section("Preview", readPreview(documents.preview), (found) => {
      return { summary: countChanges(found), lines: [...found.changes.map(renderChange), ...found.warnings] };
    }),
    section("Policy", readPolicy(documents.policy), ({ changes }) => ({
      summary:
        changes.length === 0 ? "nothing would change" : `${plural(changes.length, "line")} of difference`,
      lines: changes.map(renderDifference),
    })),
    section("Plan", readPlan(documents.plan), ({ outputs: { nodes, derpMap, next } }) => ({
      summary: `${plural(nodes.length, "node")}: ${nodes.map(({ name }) => name).join(", ")}`,
      lines: [
        ...nodes.map(
          (node) => `${node.name} in ${node.regionCode}: ${node.hostName}, ${node.ipv4}, ${node.ipv6}`,
        ),
        ...next.map((sentence, index) => `${index + 1}. ${sentence}`),
        "derpMap",
        JSON.stringify(derpMap, null, 2),
      ],
      folded: true,
    })),
  ];
  return {
    sections: parts.map(({ shown }) => shown),
    failed: parts.filter(({ ok }) => !ok).map(({ shown }) => shown.title),
  };
}

function section<T>(
  title: string,
  found: Found<T>,
  describe: (value: T) => Omit<Section, "title">,
): { readonly ok: boolean; readonly shown: Section } {
  return "value" in found
    ? { ok: true, shown: { title, ...describe(found.value) } }
    : { ok: false, shown: { title, summary: "FAILED", lines: found.failure } };
}

/** `18 to create, 1 to update`. */
function countChanges({ changes }: PreviewDocument): string {
  const certain = changes.filter((change) => change.certain);
  const counts = [...Map.groupBy(certain, ({ op }) => op)].map(([op, those]) => `${those.length} to ${op}`);
  const open = changes.length - certain.length;
  const all = open === 0 ? counts : [...counts, `${open} that only the signing key can tell`];
  return all.length === 0 ? "nothing would change" : all.join(", ");
}

/** `update hcloud:index/server:Server derp-901-901a-server (labels)`. */
export function renderChange(change: PreviewDocument["changes"][number]): string {
  return `${change.op} ${renderResource(change)}${change.certain ? "" : ", if the release changes"}`;
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
