/** Random JWCC: values as people write them, with comments, odd white space and commas behind the last item. */
import fc from "fast-check";
import type { Json } from "../jwcc/tree.ts";

/** What stands between two tokens. */
const blank: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("", " ", "\n", "\n  ", "\n\t", "\r\n  ", "  ") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      " // a note\n",
      '// "derpMap": {\r\n\t',
      " /* { */ ",
      "/* \n */",
      "\n  // alone\n  ",
      "\n\n  /* } , */\n",
    ),
  },
);

const scalar: fc.Arbitrary<string> = fc.constantFrom(
  "null",
  "true",
  "-1.5e3",
  "443",
  '"x"',
  '"// no comment"',
  '"derpMap"',
  '"\\u0041\\"\\\\"',
  '"ü\u2028😀"',
);

/** Renders items between brackets, with blanks everywhere a blank may be. */
function container(
  open: string,
  close: string,
  items: readonly string[],
  blanks: readonly string[],
  comma: boolean,
) {
  let next = 0;
  const gap = (): string => blanks[next++ % blanks.length] ?? "";
  const body = items.map((item, index) => {
    const last = index === items.length - 1;
    return `${gap()}${item}${gap()}${last && !comma ? "" : ","}`;
  });
  return `${open}${body.join("")}${gap()}${close}`;
}

const blanks = fc.array(blank, { minLength: 1, maxLength: 12 });

/** A member as text. */
export function member(name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(value, blank, blank)
    .map(([text, before, after]) => `${JSON.stringify(name)}${before}:${after}${text}`);
}

/** An object as text, of members as text. */
export function objectOf(members: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.tuple(...members), blanks, fc.boolean())
    .map(([items, gaps, comma]) => container("{", "}", items, gaps, comma));
}

/** Any value, as text; its names are a few that look like ours, each once in an object. */
export const anyValue: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc
      .uniqueArray(fc.constantFrom("derpMap", "Regions", "901", "902", "a", "Nodes", "x y"), { maxLength: 4 })
      .chain((names) => objectOf(names.map((name) => member(name, tie("value"))))),
    fc
      .tuple(fc.array(tie("value"), { maxLength: 3 }), blanks, fc.boolean())
      .map(([items, gaps, comma]) => container("[", "]", items, gaps, comma)),
  ),
})).value;

/** Something that JSON can say. */
export const anyJson = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;

/** A whole text: blanks around a value. */
export function document(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(blank, value, blank).map(([before, text, after]) => before + text + after);
}
