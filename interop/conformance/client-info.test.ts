/** Statement 8 at large: what derper says of documents that nobody has thought of, our reader and our relays say too. */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import process from "node:process";
import fc from "fast-check";
import { parseClientInfo } from "../../relay/protocol/info.ts";
import { nearlyJson } from "../../relay/testing/nearly-json.ts";
import { isLetIn } from "./client.ts";
import { statement } from "./suite.ts";

/** The same for all relays. DERPKIT_SEED repeats the documents of an earlier run. */
const seed = Number(process.env["DERPKIT_SEED"] ?? randomInt(2 ** 31));
/** So many logins for each relay, and so many of them at once. */
const [documents, atOnce] = [400, 8];

const meshKey = "0123456789ABCDEFabcdef9876543210".repeat(2);
const fields: Readonly<Record<string, readonly string[]>> = {
  meshKey: [`"${meshKey}"`, `"\\u0061${meshKey.slice(1)}"`],
  version: ["2", "-0", "null", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
  CanAckPings: ["true", "false", "null"],
  IsProber: ["true", "false", "null"],
  AppName: ['"x"', '""', "null", String.raw`"\ud800\"é"`],
  more: ['[1,{"version":"2"}]', '{"AppName":{"AppName":7}}', "1e400", "[]"],
};
const misfits = ["2.0", "2e0", "9223372036854775808", '"2"', '""', `"${meshKey}0"`, "[]", "{}", "7", "null"];

/** A name as it may be spelled: some letters in another case, or written as an escape. */
function spellings(name: string): fc.Arbitrary<string> {
  const letters = name
    .split("")
    .map((letter) =>
      fc.constantFrom(
        letter,
        letter,
        letter,
        letter.toUpperCase(),
        letter.toLowerCase(),
        `\\u00${letter.codePointAt(0)?.toString(16)}`,
        { s: "\u017F", k: "\u212A", i: "\u0131" }[letter.toLowerCase()] ?? letter,
      ),
    );
  return fc.tuple(...letters).map((spelled) => spelled.join(""));
}

const member = fc
  .constantFrom(...Object.entries(fields))
  .chain(([name, fitting]) =>
    fc.tuple(
      spellings(name),
      fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...fitting) }, fc.constantFrom(...misfits)),
    ),
  );
const document = fc
  .array(member, { minLength: 1, maxLength: 4, size: "max" })
  .map((members) => `{${members.map(([name, value]) => `"${name}":${value}`).join(",")}}`);
const table = fc
  .sample(nearlyJson(document, 1), { numRuns: documents, seed })
  .map((json) => ({ json, accepted: parseClientInfo(json) !== undefined }));

statement(
  "8. Given generated JSON in ClientInfo, right and nearly so, then accepted or closed as our reader says.",
  async ({ t, relay }) => {
    t.diagnostic(`DERPKIT_SEED=${seed}`);
    const good = table.filter(({ accepted }) => accepted).length;
    assert.ok(good > documents / 4 && good < (documents * 3) / 4, `${good} would be accepted`);
    const rows = table.values();
    const ask = async (): Promise<void> => {
      for (const { json, accepted } of rows) {
        const said = await isLetIn({ t, relay }, { info: json });
        assert.equal(said, accepted, `DERPKIT_SEED=${seed}: ${json.toString("latin1")}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, ask));
  },
);
