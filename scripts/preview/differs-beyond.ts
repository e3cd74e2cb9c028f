/** Whether two values differ in more than in what is not known of the second. Pure. */

/** @param unknown the text that stands for what is not known */
export function differsBeyond(unknown: string, before: unknown, after: unknown): boolean {
  if (after === unknown) return false;
  if (Array.isArray(before) && Array.isArray(after)) {
    return (
      before.length !== after.length ||
      after.some((each, index) => differsBeyond(unknown, before[index], each))
    );
  }
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].some((name) => differsBeyond(unknown, before[name], after[name]));
  }
  return !Object.is(before, after);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
