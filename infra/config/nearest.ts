/**
 * The known word that was probably meant: equal but for case, or at most two edits away. Of equally near ones it is the
 * one with the same first letter, which people seldom get wrong.
 *
 * Long words are not compared at all, so that no input makes this slow.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 32) return undefined;
  const written = word.toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, rank: rankOf(written, candidate.toLowerCase()) }))
    .filter(({ candidate, rank }) => rank <= 2 && rank < candidate.length)
    .sort((a, b) => a.rank - b.rank);
  return ranked[0]?.candidate;
}

function rankOf(a: string, b: string): number {
  return editDistance(a, b) + (a[0] === b[0] ? 0 : 0.5);
}

/** Levenshtein's distance: insertions, deletions and substitutions, row by row. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const substituted = (above[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      row.push(Math.min(substituted, (above[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1));
    }
    above = row;
  }
  return above.at(-1) ?? 0;
}
