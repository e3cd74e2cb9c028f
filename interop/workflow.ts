/** Runs the `run:` steps of a workflow file of GitHub Actions, in order and with a real shell, as far as ours need it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import * as v from "valibot";
import { parse } from "yaml";
import { evaluate, isTrue, resolveText, type Scope, type Value } from "./workflow-expression.ts";

const texts = v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]));
const permissions = v.record(v.string(), v.picklist(["read", "write"]));

const stepSchema = v.strictObject({
  id: v.optional(v.string()),
  name: v.optional(v.string()),
  if: v.optional(v.string()),
  uses: v.optional(v.string()),
  with: v.optional(texts, {}),
  run: v.optional(v.string()),
  env: v.optional(texts, {}),
  "working-directory": v.optional(v.string()),
});

/** What nobody here knows is refused, so that nothing of a workflow goes unseen. */
const workflowSchema = v.strictObject({
  name: v.string(),
  on: v.record(v.string(), v.unknown()),
  permissions: v.strictObject({}),
  concurrency: v.strictObject({ group: v.string(), "cancel-in-progress": v.string() }),
  defaults: v.strictObject({ run: v.strictObject({ shell: v.string() }) }),
  env: texts,
  jobs: v.record(
    v.string(),
    v.strictObject({
      needs: v.optional(v.string()),
      if: v.string(),
      "runs-on": v.string(),
      "timeout-minutes": v.number(),
      environment: v.optional(v.string()),
      permissions,
      outputs: v.optional(texts, {}),
      steps: v.array(stepSchema),
    }),
  ),
});

export type Workflow = v.InferOutput<typeof workflowSchema>;
export type Job = Workflow["jobs"][string];
export type Step = Job["steps"][number];

/** @throws valibot's error for what is not known here */
export function parseWorkflow(yaml: string): Workflow {
  return v.parse(workflowSchema, parse(yaml));
}

export interface RanStep {
  readonly label: string;
  readonly outcome: "success" | "failure" | "skipped";
  /** What its environment has from the workflow: nothing of the machine's. */
  readonly env: Readonly<Record<string, string>>;
  /** Standard output and error. */
  readonly said: string;
}

export interface RanJob {
  readonly result: "success" | "failure" | "skipped";
  readonly outputs: Readonly<Record<string, string>>;
  readonly steps: readonly RanStep[];
}

/** What a run is given besides the file. */
export interface Runner {
  /** The contexts `github`, `vars` and `secrets`, for a job. */
  readonly contexts: (job: Job) => Readonly<Record<"github" | "vars" | "secrets", Value>>;
  /** The machine's own environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly workspace: string;
  /** Plays an action. @returns what it adds to the environment of the job's later steps */
  readonly use: (action: string, given: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
}

/** Runs jobs in their order, each with the results of those before. @returns all, by name */
export async function runWorkflow(workflow: Workflow, runner: Runner): Promise<Record<string, RanJob>> {
  const ran: Record<string, RanJob> = {};
  for (const [name, job] of Object.entries(workflow.jobs)) {
    const { needs } = job;
    const before = needs === undefined ? undefined : ran[needs];
    const needed: Value = needs === undefined ? {} : { [needs]: { ...before, steps: "" } };
    const given = { ...runner.contexts(job), needs: needed };
    const scope = { contexts: given, failed: before?.result === "failure" };
    // Without a word about the state, what a job needs has to have succeeded.
    const isHeld =
      before !== undefined && before.result !== "success" && !/cancelled\(\)|always\(\)/.test(job.if);
    const isRun = !isHeld && isTrue(resolveCondition(job.if, scope));
    ran[name] = isRun
      ? await runJob(workflow, job, runner, given)
      : { result: "skipped", outputs: {}, steps: [] };
  }
  return ran;
}

async function runJob(
  workflow: Workflow,
  job: Job,
  runner: Runner,
  given: Readonly<Record<string, Value>>,
): Promise<RanJob> {
  const temp = mkdtempSync(path.join(tmpdir(), "derpkit-runner-"));
  const steps: RanStep[] = [];
  const contexts: Record<string, Value> = { ...given, steps: {} };
  let failed = false;
  let exported: Readonly<Record<string, string>> = {};
  try {
    for (const step of job.steps) {
      const scope = { contexts, failed };
      const label = step.name ?? step.id ?? step.uses ?? "run";
      const written = { ...workflow.env, ...step.env };
      const isRun = step.if === undefined ? !failed : isTrue(resolveCondition(step.if, scope));
      const env = isRun ? { ...exported, ...resolveAll(written, scope) } : {};
      let [outcome, said]: [RanStep["outcome"], string] = ["skipped", ""];
      let outputs: Readonly<Record<string, string>> = {};
      if (isRun && step.uses !== undefined) {
        exported = { ...exported, ...runner.use(step.uses, resolveAll(step.with, scope)) };
        outcome = "success";
      } else if (isRun) {
        assert.ok(
          step.run !== undefined && !step.run.includes("${{"),
          "no expression becomes part of a script",
        );
        const shell = workflow.defaults.run.shell;
        const ended = await runScript(
          shell,
          step,
          { ...runner.env, ...env, RUNNER_TEMP: temp },
          runner.workspace,
        );
        [outcome, said, outputs] = [ended.status === 0 ? "success" : "failure", ended.said, ended.outputs];
      }
      failed ||= outcome === "failure";
      steps.push({ label, outcome, env, said });
      if (step.id !== undefined) {
        contexts["steps"] = { ...Object(contexts["steps"]), [step.id]: { outcome, outputs } };
      }
    }
    const outputs = resolveAll(job.outputs, { contexts, failed });
    return { result: failed ? "failure" : "success", outputs, steps };
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

/** @param shell as `defaults.run.shell` has it, with {0} for the script's file */
async function runScript(
  shell: string,
  step: Step,
  env: Readonly<Record<string, string>>,
  workspace: string,
): Promise<{ status: number; said: string; outputs: Readonly<Record<string, string>> }> {
  const temp = env["RUNNER_TEMP"] ?? "";
  const [script, output] = [path.join(temp, "script.sh"), path.join(temp, "output")];
  writeFileSync(script, step.run ?? "");
  writeFileSync(output, "");
  const [program = "", ...args] = shell.split(" ").map((word) => (word === "{0}" ? script : word));
  const child = spawn(program, args, {
    cwd: path.join(workspace, step["working-directory"] ?? ""),
    env: { ...env, GITHUB_OUTPUT: output },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [[status], ...streams] = await Promise.all([
    once(child, "close") as Promise<[number]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { status, said: streams.join(""), outputs: parseOutputs(readFileSync(output, "utf8")) };
}

/** `name=value`, or `name<<END`, lines, `END`. */
function parseOutputs(file: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = file.split("\n").values();
  for (const line of lines) {
    const [, name = "", sign, rest = ""] = /^(\w+)(=|<<)(.*)$/.exec(line) ?? [];
    if (sign === "=") outputs[name] = rest;
    if (sign !== "<<") continue;
    const value: string[] = [];
    for (const each of lines) {
      if (each === rest) break;
      value.push(each);
    }
    outputs[name] = value.join("\n");
  }
  return outputs;
}

function resolveAll(
  all: Readonly<Record<string, string | number | boolean>>,
  scope: Scope,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name, resolveText(String(value), scope)]),
  );
}

function resolveCondition(condition: string, scope: Scope): Value {
  return evaluate(/^\$\{\{(.*)\}\}$/s.exec(condition.trim())?.[1] ?? condition, scope);
}
