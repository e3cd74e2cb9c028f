/** Figures as rows of text, for the terminal and for docs/performance.md. Pure. */
import {
  type Figure,
  type Runtime,
  type ServerKind,
  type Target,
  targetOf,
  timesBetter,
  type Unit,
} from "./figures.ts";
import type { Row } from "./record.ts";

export const serverNames: Readonly<Record<ServerKind, string>> = {
  derper: "derper",
  node: "ours on Node.js",
  bun: "ours on Bun",
};

const runtimeNames: Readonly<Record<Runtime, string>> = { node: "Node.js", bun: "Bun" };

/** Stands where nothing was measured. */
const nothing = "–";

/** The table's head. @param runtime of which something is asked */
export function renderHead(runtime: Runtime): string[] {
  const { derper, node, bun } = serverNames;
  return ["Work", "Figure", derper, node, "times", bun, "times", `asked of ${runtimeNames[runtime]}`, ""];
}

/** The cells of a figure. */
export function renderRow(row: Row, runtime: Runtime): string[] {
  const { of, figure } = row;
  const target = targetOf(figure, runtime);
  return [
    of.title,
    figure.label,
    renderCell(row, "derper"),
    renderCell(row, "node"),
    renderTimes(row, "node"),
    renderCell(row, "bun"),
    renderTimes(row, "bun"),
    target === undefined ? "" : renderTarget(target, figure.unit),
    { met: "met", missed: "MISSED", unmeasured: "not measured", "not asked": "" }[row.verdict],
  ];
}

/** One line about a case that is done: each relay's value of its first figure. */
export function renderCaseLine(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return "";
  const parts = (["derper", "node", "bun"] as const).flatMap((kind) => {
    if (first.values[kind] === undefined && first.failures[kind] === undefined) return [];
    const times = kind === "derper" ? nothing : renderTimes(first, kind);
    return [`${kind} ${renderCell(first, kind)}${times === nothing ? "" : ` (${times})`}`];
  });
  return `${first.of.title}: ${first.figure.label} ${parts.join(", ")}`;
}

/** Stands behind what the generator may have limited. */
const limitedMark = " ᵍ";
export const limitedRemark = "ᵍ The generator's CPU was busy all the time: the relay may be able to do more.";

function renderCell({ figure, values, failures, limited }: Row, kind: ServerKind): string {
  const value = values[kind];
  if (value !== undefined)
    return renderValue(value, figure.unit) + (limited[kind] === true ? limitedMark : "");
  return failures[kind] === undefined ? nothing : "failed";
}

function renderTimes({ figure, values }: Row, runtime: Runtime): string {
  const times = isComparable(figure) ? timesBetter(figure, values.derper, values[runtime]) : undefined;
  if (times === undefined || !Number.isFinite(times)) return nothing;
  return `${times >= 9.95 ? times.toFixed(0) : times.toFixed(2)}×`;
}

/** A ratio of parts or of growths, which may be zero, says nothing. */
function isComparable({ unit, value }: Figure): boolean {
  return unit !== "%" && value !== "growth" && value !== "floodSent";
}

function renderTarget(target: Target, unit: Unit): string {
  switch (target.kind) {
    case "times":
      return `≥ ${Number(target.least.toFixed(2))}×`;
    case "at-most":
      return `≤ ${renderValue(target.most, unit)}`;
    case "under":
      return `< ${renderValue(target.limit, unit)}`;
    case "exactly":
    default:
      return renderValue(target.value, unit);
  }
}

/** Three digits, as more would be noise; but a few packets lost among millions are not none. */
function renderValue(value: number, unit: Unit): string {
  if (unit === "%" && value > 0 && value < 0.01) return "< 0.01 %";
  const rounded = Number(unit === "%" ? value.toFixed(2) : value.toPrecision(3));
  return `${rounded.toLocaleString("en-US")} ${unit}`;
}
