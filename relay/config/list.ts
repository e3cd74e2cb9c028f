/** Reads a comma list: what stands between the commas, without blanks around it and without empty entries. */
export function parseList(text: string): string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}
