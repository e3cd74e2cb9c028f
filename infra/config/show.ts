/** Shows a value in a message: short, on one line, and a list or mapping by its kind only. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null || value === "") return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
