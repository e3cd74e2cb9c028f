/** What a change did to a text, by its lines. Pure. */

/** Lines around a change that are shown. */
const around = 2;

/** Lists the lines that went (`-`), came (`+`) and are beside them (` `); `…` stands for those between. */
export function renderDiff(before: string, after: string): string[] {
  const lines = compare(split(before), split(after));
  const isNear = (at: number): boolean =>
    lines.slice(Math.max(0, at - around), at + around + 1).some(({ mark }) => mark !== " ");
  return lines.flatMap(({ mark, line }, at) => {
    if (isNear(at)) return [`${mark}${line}`];
    return at > 0 && isNear(at - 1) && lines.slice(at).some(({ mark: later }) => later !== " ") ? ["…"] : [];
  });
}

type Mark = " " | "-" | "+";

/** By the longest row of lines that both have: a stack file has some hundred lines. */
function compare(before: readonly string[], after: readonly string[]): { mark: Mark; line: string }[] {
  const common = lengthsOfCommon(before, after);
  const found: { mark: Mark; line: string }[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old = "", now = ""] = [before[i], after[j]];
    if (i < before.length && j < after.length && old === now) {
      found.push({ mark: " ", line: old });
      [i, j] = [i + 1, j + 1];
    } else if (
      j === after.length ||
      (i < before.length && (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0))
    ) {
      found.push({ mark: "-", line: old });
      i++;
    } else {
      found.push({ mark: "+", line: now });
      j++;
    }
  }
  return found;
}

/** At `[i][j]`: how many lines of `before` from i and of `after` from j are common, in order. */
function lengthsOfCommon(before: readonly string[], after: readonly string[]): number[][] {
  const lengths = Array.from({ length: before.length + 1 }, () => Array<number>(after.length + 1).fill(0));
  for (let i = before.length - 1; i >= 0; i--) {
    const [row = [], below = []] = [lengths[i], lengths[i + 1]];
    for (let j = after.length - 1; j >= 0; j--) {
      row[j] = before[i] === after[j] ? 1 + (below[j + 1] ?? 0) : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return lengths;
}

function split(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}
