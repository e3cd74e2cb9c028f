/** Reads what was written, right or wrong: checks of several values go on beside a mistake in another. */
import * as v from "valibot";

/** Takes a problem: where it is, and what it says. */
export type Report = (path: string, message: string) => void;

export type Members = Readonly<Record<string, unknown>>;

/** A value, if it is what its schema wants. */
export function valid<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> | undefined {
  const { success, output } = v.safeParse(schema, value);
  return success ? output : undefined;
}

/** A mapping's members; none of what is no mapping. */
export function membersOf(value: unknown): Members {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** A list's items; none of what is no list. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
