/** Shows a value in a message: short, on one line, and a list or mapping by its kind only. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null || value === "") return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return shorten(quote(value));
}

/** A value as JSON has it, and with escapes for whatever else a terminal does not show but obeys. */
export function quote(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** At most 60 characters of a text. */
export function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}
