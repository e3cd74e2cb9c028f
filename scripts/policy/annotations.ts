/** Faults and differences as GitHub Actions shows them beside a file's lines. Pure. */
import type { KitError } from "../../relay/errors.ts";

export interface Annotation {
  readonly level: "error" | "warning";
  /** `FILE`, `FILE:LINE`, `FILE:LINE:COLUMN`, or undefined for what is about no file. */
  readonly place: string | undefined;
  readonly message: string;
}

/** Renders a workflow command. */
export function renderAnnotation({ level, place, message }: Annotation): string {
  const [, file = "", line, column] = /^(.*?)(?::(\d+))?(?::(\d+))?$/s.exec(place ?? "") ?? [];
  const properties = [
    ...(file === "" ? [] : [`file=${escapeProperty(file)}`]),
    ...(line === undefined ? [] : [`line=${line}`]),
    ...(column === undefined ? [] : [`col=${column}`]),
  ];
  return `::${level}${properties.length === 0 ? "" : ` ${properties.join(",")}`}::${escapeData(message)}`;
}

/**
 * What a failure is shown as: each of its problems, or itself.
 *
 * @param file the policy file; undefined if the policy is in no file, and places in it are only said
 */
export function annotateError(error: KitError, file: string | undefined): Annotation[] {
  const isInFile = (place: string | undefined): boolean =>
    file !== undefined && (place ?? "").startsWith(file);
  const annotate = (place: string | undefined, message: string): Annotation => {
    const isPlaced = isInFile(place);
    const said = isPlaced || place === undefined ? message : `${place}: ${message}`;
    return { level: "error", place: isPlaced ? place : undefined, message: `${said} (${error.code})` };
  };
  const { problems, where, message } = error;
  return problems.length > 0
    ? problems.map(({ path, message: words }) => annotate(path, words))
    : [annotate(where, message)];
}

function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
