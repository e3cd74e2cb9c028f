/** What a figure is, what is asked of it, and whether that was reached. Pure. */

/** The relays that are compared: Go's derper, and ours on either runtime. */
export const serverKinds = ["derper", "node", "bun"] as const;
export type ServerKind = (typeof serverKinds)[number];
export type Runtime = Exclude<ServerKind, "derper">;

/** The runtime that is to reach what is asked; of the other the figures are only stated. */
export const defaultRuntime: Runtime = "bun";

export type Unit = "µs" | "ms" | "s" | "KiB" | "MiB" | "packets/s" | "%";

export type Target =
  /** So many times better than derper. */
  | { readonly kind: "times"; readonly least: number }
  | { readonly kind: "at-most"; readonly most: number }
  | { readonly kind: "under"; readonly limit: number }
  | { readonly kind: "exactly"; readonly value: number };

export interface Figure {
  /** The name under which a run gives its value. */
  readonly value: string;
  /** For a row of the table, without the case's title. */
  readonly label: string;
  readonly unit: Unit;
  readonly better: "less" | "more";
  /** By runtime, as more is asked of one than of the other; undefined where the figure only explains. */
  readonly target?: Target | Readonly<Record<Runtime, Target>>;
}

/** `unmeasured`: the value, or derper's where it is compared with, is missing. */
export type Verdict = "met" | "missed" | "unmeasured" | "not asked";

/** What is asked of a figure on a runtime; undefined for nothing. */
export function targetOf({ target }: Figure, runtime: Runtime): Target | undefined {
  if (target === undefined || "kind" in target) return target;
  return target[runtime];
}

/**
 * How many times better a value is than derper's: 2 is half the cost or twice the goodput.
 *
 * @returns undefined if either is missing; 1 for two zeros
 */
export function timesBetter(
  { better }: Figure,
  derper: number | undefined,
  ours: number | undefined,
): number | undefined {
  if (derper === undefined || ours === undefined) return undefined;
  if (derper === ours) return 1;
  return better === "less" ? derper / ours : ours / derper;
}

/** Holds a figure's values against what is asked of a runtime. */
export function judge(
  figure: Figure,
  runtime: Runtime,
  values: Readonly<Partial<Record<ServerKind, number>>>,
): Verdict {
  const target = targetOf(figure, runtime);
  if (target === undefined) return "not asked";
  const ours = values[runtime];
  const compared = target.kind === "times" ? timesBetter(figure, values.derper, ours) : ours;
  if (compared === undefined) return "unmeasured";
  return reaches(target, compared) ? "met" : "missed";
}

function reaches(target: Target, value: number): boolean {
  switch (target.kind) {
    case "times":
      return value >= target.least;
    case "at-most":
      return value <= target.most;
    case "under":
      return value < target.limit;
    case "exactly":
    default:
      return value === target.value;
  }
}
