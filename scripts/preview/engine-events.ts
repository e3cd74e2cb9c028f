/** What Pulumi's engine logs of a preview, one event a line: what it would change, and what the stack would give. Pure. */
import * as v from "valibot";
import { differsBeyond } from "./differs-beyond.ts";

/** What the engine would do to one resource. */
export interface PlannedChange {
  readonly op: "create" | "update" | "replace" | "delete";
  /** Of Pulumi, for example `hcloud:index/server:Server`. */
  readonly type: string;
  readonly name: string;
  /** Of the resource, those that differ. */
  readonly properties: readonly string[];
  /**
   * False if whatever differs is known after up only, so that nobody can say whether it differs: what a release signs, for
   * who has not the key.
   */
  readonly certain: boolean;
}

/** What a change is of: `hcloud:index/server:Server derp-901-901a-server (labels)`. */
export function renderResource({
  type,
  name,
  properties,
}: Pick<PlannedChange, "type" | "name" | "properties">): string {
  return `${type} ${name}${properties.length === 0 ? "" : ` (${properties.join(", ")})`}`;
}

export interface Remark {
  readonly severity: "warning" | "error";
  readonly text: string;
}

export interface LoggedPreview {
  /** In the engine's order. */
  readonly changes: readonly PlannedChange[];
  /** Of all resources that there would be, once each. */
  readonly types: readonly string[];
  /** Of the stack; undefined if it did not get as far. */
  readonly outputs: Readonly<Record<string, unknown>> | undefined;
  readonly remarks: readonly Remark[];
}

/** How a log is read: what stands for what is not known yet, and how properties are made plain. */
export interface Reading {
  /** Put in the place of an unknown value by `readable`. */
  readonly unknown: string;
  readonly readable: (properties: object) => Readonly<Record<string, unknown>>;
}

/** Reads a log. What the engine says beyond this is passed over, and so is a line that was cut off. */
export function readEngineLog(text: string, reading: Reading): LoggedPreview {
  const events = text.split("\n").flatMap((line) => parseEvent(line));
  const steps = events.flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? []);
  const changes = steps.flatMap((step) => readStep(step, reading));
  const stack = events
    .flatMap(({ resOutputsEvent }) => resOutputsEvent?.metadata ?? [])
    .findLast(({ type, op }) => type === "pulumi:pulumi:Stack" && !isRefresh(op));
  const outputs = stack?.new?.outputs ?? undefined;
  return {
    changes: mergeReplacements(changes),
    types: [...new Set(steps.filter(({ op }) => op !== "delete" && !isRefresh(op)).map(({ type }) => type))],
    outputs: outputs === undefined ? undefined : reading.readable(outputs),
    remarks: events.flatMap(({ diagnosticEvent }) => readRemark(diagnosticEvent)),
  };
}

const properties = v.optional(v.nullable(v.record(v.string(), v.unknown())));
const state = v.optional(v.nullable(v.object({ inputs: properties, outputs: properties })));

const stepSchema = v.object({
  op: v.string(),
  urn: v.string(),
  type: v.string(),
  old: state,
  new: state,
  diffs: v.optional(v.nullable(v.array(v.string()))),
  detailedDiff: v.optional(v.nullable(v.record(v.string(), v.unknown()))),
});
type Step = v.InferOutput<typeof stepSchema>;

const diagnosticSchema = v.object({
  message: v.string(),
  severity: v.string(),
  ephemeral: v.optional(v.boolean(), false),
});

const eventSchema = v.object({
  resourcePreEvent: v.optional(v.object({ metadata: stepSchema })),
  resOutputsEvent: v.optional(v.object({ metadata: stepSchema })),
  diagnosticEvent: v.optional(diagnosticSchema),
});

function parseEvent(line: string): v.InferOutput<typeof eventSchema>[] {
  try {
    const { success, output } = v.safeParse(eventSchema, JSON.parse(line));
    return success ? [output] : [];
  } catch {
    return [];
  }
}

const ops: Readonly<Record<string, PlannedChange["op"]>> = {
  create: "create",
  import: "create",
  update: "update",
  replace: "replace",
  "create-replacement": "replace",
  "delete-replaced": "replace",
  delete: "delete",
};

function readStep(step: Step, reading: Reading): PlannedChange[] {
  const op = ops[step.op];
  if (op === undefined) return [];
  const [before, after] = [step.old?.inputs ?? {}, step.new?.inputs ?? {}].map((each) =>
    reading.readable(each ?? {}),
  );
  const reported = Object.keys(step.detailedDiff ?? {});
  const names = (reported.length > 0 ? reported : (step.diffs ?? [])).map(topOf);
  const different = op === "update" || op === "replace" ? [...new Set(names)].toSorted() : [];
  const isOpen = (name: string): boolean => {
    const [old, next] = [before?.[name], after?.[name]];
    const hasUnknown = (JSON.stringify(next) ?? "").includes(reading.unknown);
    return hasUnknown && !differsBeyond(reading.unknown, old, next);
  };
  const certain = different.length === 0 || !different.every(isOpen);
  return [{ op, type: step.type, name: nameOf(step.urn), properties: different, certain }];
}

/** A replacement is several steps, the first of which may be the deletion. */
function mergeReplacements(changes: readonly PlannedChange[]): PlannedChange[] {
  const replaced = new Map<string, PlannedChange>();
  for (const change of changes) {
    if (change.op !== "replace") continue;
    const known = replaced.get(keyOf(change));
    const all = [...new Set([...(known?.properties ?? []), ...change.properties])].toSorted();
    replaced.set(keyOf(change), {
      ...change,
      properties: all,
      certain: change.certain && known?.certain !== false,
    });
  }
  return [...Map.groupBy(changes, keyOf)].flatMap(([key, [first]]) => replaced.get(key) ?? first ?? []);
}

function keyOf({ type, name }: PlannedChange): string {
  return `${type}::${name}`;
}

/** A URN ends in the resource's name. */
function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? urn;
}

/** The property that a path begins with: `rules` of `rules[0].port`. */
function topOf(path: string): string {
  return /^[^.[]+/.exec(path)?.[0] ?? path;
}

function isRefresh(op: string): boolean {
  return op === "refresh" || op === "read";
}

function readRemark(event: v.InferOutput<typeof diagnosticSchema> | undefined): Remark[] {
  if (event === undefined || event.ephemeral) return [];
  const { severity, message } = event;
  if (severity !== "warning" && severity !== "error") return [];
  // The engine writes colours as `<{%reset%}>`.
  return [{ severity, text: message.replaceAll(/<\{%[^%]*%\}>/g, "").trim() }];
}
