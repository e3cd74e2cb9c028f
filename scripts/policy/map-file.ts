/** Reads what is to be pushed, or was, from a file with a derpMap. Pure. */
import { parseDerpMap } from "../../infra/derpmap/parse.ts";
import { KitError, type Problem } from "../../relay/errors.ts";
import { type DerpPart, findInMap, findInPolicy, readPart, renderPart } from "./derp-part.ts";
import { JwccError, parseJwcc } from "./jwcc/parse.ts";
import { type JwccDocument, positionOf } from "./jwcc/tree.ts";

/**
 * Parses a derpMap, or an object that has one as its member derpMap, without checking what it says.
 *
 * @param name of the file, for messages
 * @throws KitError `derpmap-invalid` with line and column
 */
export function parsePart(text: string, name: string): DerpPart {
  try {
    const doc = parseJwcc(text);
    const part = readPart(doc, findPlaces(doc));
    const problems = findMistypes(part);
    if (problems.length > 0) throw new KitError("derpmap-invalid", { where: name, problems });
    return part;
  } catch (error) {
    if (!(error instanceof JwccError)) throw error;
    const { line, column } = positionOf(text, error.offset);
    throw new KitError("derpmap-invalid", { where: `${name}:${line}:${column}`, message: sentence(error) });
  }
}

/**
 * Parses the derpMap that is to be pushed. It may be empty: then whatever is ours goes.
 *
 * @throws KitError `derpmap-invalid` with everything that a client would trip over
 */
export function parseWanted(text: string, name: string): DerpPart {
  const part = parsePart(text, name);
  const isEmpty = [...part.regions.values()].every((region) => region === null);
  if (!isEmpty) checkAsClients(part, name);
  return part;
}

function checkAsClients(part: DerpPart, where: string): void {
  try {
    parseDerpMap(JSON.stringify(renderPart(part)));
  } catch (error) {
    if (!(error instanceof KitError)) throw error;
    const { code, message, problems, cause } = error;
    throw new KitError(code, { where, message, problems, cause });
  }
}

function findPlaces(doc: JwccDocument) {
  const wrapped = findInPolicy(doc);
  return wrapped.derpMap === undefined ? findInMap(doc, doc.root) : wrapped;
}

function findMistypes({ omitDefaultRegions, scores }: DerpPart): Problem[] {
  const isOmitGood = omitDefaultRegions === undefined || typeof omitDefaultRegions === "boolean";
  return [
    ...(isOmitGood ? [] : [{ path: "OmitDefaultRegions", message: "has to be true or false" }]),
    ...[...scores].flatMap(([id, score]) =>
      typeof score === "number"
        ? []
        : [{ path: `HomeParams.RegionScore.${id}`, message: "has to be a number" }],
    ),
  ];
}

/** The message of a fault as a sentence. */
export function sentence({ message }: JwccError): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
