/** Another reading of JWCC, which shares nothing with ours: blank out what is not JSON, and have JSON.parse read the rest. */
import type { Json } from "../jwcc/tree.ts";

/** Text, comments, white space, and everything else unit by unit. */
const token = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*?(?=\r?\n|$)|\/\*[^]*?\*\/|[ \t\r\n]+|[^]/g;

export function parseByOracle(text: string): Json {
  const tokens = (text.match(token) ?? []).filter((each) => !/^(?:\/\/|\/\*|[ \t\r\n])/.test(each));
  const bare = tokens.filter((each, index) => each !== "," || !/^[}\]]$/.test(tokens[index + 1] ?? ""));
  return JSON.parse(bare.join("")) as Json;
}

/** What of a text is not white space and no comma, in its order: a comment or a text is one. */
export function listTokens(text: string): string[] {
  return (text.match(token) ?? []).filter((each) => !/^[ \t\r\n,]/.test(each));
}

export function listComments(text: string): string[] {
  return (text.match(token) ?? []).filter((each) => /^\/[/*]/.test(each));
}
