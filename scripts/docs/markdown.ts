/** Renders a table. A cell is Markdown in one line; a bar and an opening angle bracket in it are plain text. */
export function renderMarkdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows.map((row) => row.map(escapeCell))].map(renderRow).join("\n");
}

function renderRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** In code a bracket is plain text already, and a backslash would show. */
function escapeCell(cell: string): string {
  return cell
    .split(/(`[^`]*`)/)
    .map((piece) => (piece.startsWith("`") ? piece : piece.replaceAll("<", "\\<")))
    .join("")
    .replaceAll("|", "\\|");
}
