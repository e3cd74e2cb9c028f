/** Markdown of what others may have written: nothing in it is more than text, and it is never longer than GitHub takes. Pure. */

/** A part of a report. */
export interface Section {
  readonly title: string;
  /** One sentence. */
  readonly summary: string;
  readonly lines: readonly string[];
  /** True for what only some will want to read. */
  readonly folded?: boolean;
}

/** In bytes of UTF-8: GitHub takes 65,536 characters in all, and a variable of a shell 128 KiB. */
const [maxSection, maxLine, maxSummary] = [10_000, 1_000, 400];
const maxSections = 5;

/**
 * Renders a report.
 *
 * @param marker by which the report is found again; it is not seen
 * @param sections five at most, so that the whole stays below the limits
 */
export function renderReport(
  marker: string,
  title: string,
  sections: readonly Section[],
  foot: string,
): string {
  if (sections.length > maxSections) throw new Error("a report of so many sections could be too long");
  const overview = sections.map((each) => `| ${each.title} | ${escapeCell(each.summary)} |`);
  return [
    marker,
    `### ${title}`,
    "",
    "| | |",
    "| --- | --- |",
    ...overview,
    ...sections.filter(({ lines }) => lines.length > 0).flatMap(renderSection),
    "",
    foot,
    "",
  ].join("\n");
}

/** By this a comment or an issue is known as one of the kit's: its text begins with it. */
export function renderMarker(kind: string, stack: string): string {
  return `<!-- derpkit ${kind} ${stack} -->`;
}

function renderSection({ title, lines, folded = false }: Section): string[] {
  const block = renderBlock(lines);
  return folded
    ? ["", `<details><summary>${title}</summary>`, "", ...block, "", "</details>"]
    : ["", `**${title}**`, "", ...block];
}

/** Lines as they are, in a fence that none of them can end. */
function renderBlock(lines: readonly string[]): string[] {
  const shown: string[] = [];
  let room = maxSection;
  for (const line of lines.flatMap((each) => each.split("\n")).map((each) => tidy(each))) {
    room -= Buffer.byteLength(line) + 1;
    if (room < 0) break;
    shown.push(line);
  }
  const left = lines.flatMap((each) => each.split("\n")).length - shown.length;
  const longest = Math.max(
    2,
    ...shown.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)),
  );
  const fence = "`".repeat(longest + 1);
  const rest = left === 0 ? [] : [`… and ${left} more lines, which the run has`];
  return [`${fence}text`, ...shown, ...rest, fence];
}

/** A line that steers neither a terminal nor a page, of bounded length. */
function tidy(line: string, max = maxLine): string {
  const plain = line.replaceAll(/\p{C}/gu, "\uFFFD");
  if (Buffer.byteLength(plain) <= max) return plain;
  // What a cut leaves of a character is left out.
  const cut = new TextDecoder().decode(Buffer.from(plain).subarray(0, max)).replace(/\uFFFD+$/, "");
  return `${cut}…`;
}

/** Text in a table, where it could otherwise be a link, a mention or a new cell. */
function escapeCell(text: string): string {
  return tidy(text, maxSummary).replaceAll(/[\\`*_{}[\]<>()#+!|~@&]/g, (sign) => `&#${sign.codePointAt(0)};`);
}
