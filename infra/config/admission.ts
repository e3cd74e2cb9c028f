/** Whether who may connect is said, and said once. Works on what was written, right or wrong. */
import { childPath } from "./path.ts";
import { type Members, type Report, valid } from "./raw.ts";
import { regionSchema } from "./schema.ts";

/** The ways to find out about a client; each that is given has to let it in. */
const questions = ["verifyClientUrl", "tailnetApi", "allow"] as const;

export function checkAdmission(region: Members, path: string, report: Report): void {
  const at = childPath(path, "admission");
  if (region["admission"] === undefined) {
    report(at, `is missing; write who may connect: a mapping with ${questions.join(", ")}, or anyone: true`);
    return;
  }
  const admission = valid(regionSchema.entries.admission, region["admission"]);
  if (admission === undefined) return;
  const { anyone = false } = admission;
  const asks = questions.some((question) => admission[question] !== undefined);
  if (anyone === asks) {
    report(
      at,
      anyone
        ? "lets in anyone and asks about each; keep one"
        : `lets in nobody; write ${questions.join(", ")}, or anyone: true`,
    );
  }
}
