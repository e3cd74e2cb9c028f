/** JSON with a slip of the pen: for whoever has to say of a text what another reader says of it. */
import fc from "fast-check";

/** What a slip puts in: JSON's own signs above all, and bytes that are of no character. */
const slips = [
  ...'{}[]",:0123e.+-\\u/ \n\tfnéſ'.split("").map((character) => Buffer.from(character)),
  Buffer.of(0x01),
  Buffer.of(0x7f),
  Buffer.of(0xc3),
  Buffer.of(0xff),
  Buffer.from("\uFEFF"),
  Buffer.from("\\ud800"),
  Buffer.alloc(0),
];

/** Documents of which some bytes are left out, put in or replaced, at up to `most` places. */
export function nearlyJson(documents: fc.Arbitrary<string>, most: number): fc.Arbitrary<Buffer> {
  const slip = fc.record({ at: fc.nat(), removed: fc.nat(2), added: fc.constantFrom(...slips) });
  return fc.tuple(documents, fc.array(slip, { maxLength: most })).map(([json, edits]) => {
    let bytes = Buffer.from(json);
    for (const { at, removed, added } of edits) {
      const begin = at % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, begin), added, bytes.subarray(begin + removed)]);
    }
    return bytes;
  });
}
