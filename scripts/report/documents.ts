/** What other commands wrote with --json, for a report. Pure. */
import * as v from "valibot";

/** What a command found, or why it did not get as far, in words. */
export type Found<T> = { readonly value: T } | { readonly failure: readonly string[] };

const changeSchema = v.object({
  op: v.string(),
  type: v.string(),
  name: v.string(),
  properties: v.array(v.string()),
  certain: v.boolean(),
});
const previewSchema = v.object({
  changes: v.array(changeSchema),
  types: v.array(v.string()),
  warnings: v.array(v.string()),
});
const planSchema = v.object({
  outputs: v.object({
    derpMap: v.unknown(),
    nodes: v.array(
      v.object({
        name: v.string(),
        regionCode: v.string(),
        hostName: v.string(),
        ipv4: v.string(),
        ipv6: v.string(),
      }),
    ),
    next: v.array(v.string()),
  }),
});
const policySchema = v.object({ changes: v.array(v.object({ what: v.string(), words: v.string() })) });
const verifySchema = v.object({
  ok: v.boolean(),
  nodes: v.array(
    v.object({
      name: v.string(),
      region: v.string(),
      checks: v.array(v.object({ name: v.string(), status: v.string(), detail: v.string() })),
    }),
  ),
});

export type PreviewDocument = v.InferOutput<typeof previewSchema>;
export type VerifyDocument = v.InferOutput<typeof verifySchema>;

/** Each reads what a command wrote, undefined if that is nothing. */
export const readPreview = reader(previewSchema);
export const readPlan = reader(planSchema);
export const readPolicy = reader(policySchema);
export const readVerify = reader(verifySchema);

const errorSchema = v.object({
  error: v.object({
    code: v.string(),
    message: v.string(),
    where: v.optional(v.string()),
    fix: v.string(),
    problems: v.array(v.object({ path: v.string(), message: v.string() })),
  }),
});
type ReportedError = v.InferOutput<typeof errorSchema>["error"];

function reader<S extends v.GenericSchema>(schema: S): (json: string | undefined) => Found<v.InferOutput<S>> {
  return (json) => {
    const read = v.safeParse(schema, parse(json));
    if (read.success) return { value: read.output };
    const error = readError(json);
    return {
      failure: error === undefined ? ["it did not come to an end; the run's log says why"] : describe(error),
    };
  };
}

/** How a command failed; undefined if it did not say. */
export function readError(json: string | undefined): ReportedError | undefined {
  const read = v.safeParse(errorSchema, parse(json));
  return read.success ? read.output.error : undefined;
}

function describe({ code, message, where, fix, problems }: ReportedError): string[] {
  return [
    `${where === undefined ? "" : `${where}: `}${message} [${code}]`,
    ...problems.map((problem) => `  ${problem.path}: ${problem.message}`),
    `  mend: ${fix}`,
  ];
}

function parse(json = ""): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
