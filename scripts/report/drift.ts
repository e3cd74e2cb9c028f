/** Whether what is there is still what is described: cloud, DNS, policy, running version. Pure. */
import { renderChange as renderDifference } from "../policy/diff.ts";
import { type Documents, plural, renderChange } from "./check.ts";
import { readError, readPolicy, readPreview, readVerify, type VerifyDocument } from "./documents.ts";
import type { Section } from "./markdown.ts";

export type Verdict =
  | "as described"
  /** It is not as described. */
  | "drifted"
  /** Nobody knows. */
  | "not asked";

export interface DriftPart extends Section {
  readonly verdict: Verdict;
}

/** Judges the four, in this order. */
export function reportDrift(documents: Documents): DriftPart[] {
  return [...judgeClouds(documents.preview), judgePolicy(documents.policy), judgeRunning(documents.verify)];
}

const names = { cloud: "Cloud", dns: "DNS", policy: "Policy", running: "Running version" } as const;

/** What the engine would change after it has asked the clouds. What is signed it cannot compare without the key. */
function judgeClouds(json: string | undefined): DriftPart[] {
  const found = readPreview(json);
  if ("failure" in found) return [names.cloud, names.dns].map((title) => notAsked(title, found.failure));
  const { changes, types } = found.value;
  const certain = changes.filter((change) => change.certain);
  const [dns, cloud] = [true, false].map((ofDns) =>
    certain.filter(({ type }) => isDns(type) === ofDns).map(renderChange),
  );
  const open = changes.length - certain.length;
  const passed =
    open === 0 ? "" : `; ${plural(open, "resource")} not compared, as that takes the signing key`;
  return [
    judge(names.cloud, cloud ?? [], "difference", passed),
    types.some(isDns)
      ? judge(names.dns, dns ?? [], "difference")
      : {
          title: names.dns,
          verdict: "as described",
          summary: "nothing to ask: the stack makes no records",
          lines: [],
        },
  ];
}

function isDns(type: string): boolean {
  return type.startsWith("cloudflare:");
}

/** An edit by hand is refused by whoever compares, and is the difference that was looked for. */
function judgePolicy(json: string | undefined): DriftPart {
  const error = readError(json);
  if (error?.code === "policy-conflict") {
    const lines = error.problems.map(({ path, message }) => `${path}: ${message}`);
    return judge(names.policy, lines.length === 0 ? [error.message] : lines, "edit");
  }
  const found = readPolicy(json);
  if ("failure" in found) return notAsked(names.policy, found.failure);
  return judge(names.policy, found.value.changes.map(renderDifference), "difference");
}

function judgeRunning(json: string | undefined): DriftPart {
  const found = readVerify(json);
  if ("failure" in found) return notAsked(names.running, found.failure);
  const { ok, nodes } = found.value;
  const failed = listChecks(nodes, "failed");
  if (failed.length > 0 || ok) return judge(names.running, failed, "failed check");
  return notAsked(names.running, listChecks(nodes, "untested"));
}

function listChecks(nodes: VerifyDocument["nodes"], wanted: string): string[] {
  return nodes.flatMap(({ name, region, checks }) =>
    checks
      .filter(({ status }) => status === wanted)
      .map((check) => `${region} ${name}: ${check.name}: ${check.detail}`),
  );
}

function judge(title: string, lines: readonly string[], what: string, more = ""): DriftPart {
  return lines.length === 0
    ? { title, verdict: "as described", summary: `as described${more}`, lines }
    : { title, verdict: "drifted", summary: `DRIFTED: ${plural(lines.length, what)}${more}`, lines };
}

function notAsked(title: string, lines: readonly string[]): DriftPart {
  return { title, verdict: "not asked", summary: "COULD NOT BE ASKED", lines };
}
