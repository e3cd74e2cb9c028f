/** Whether who may connect is said, and said once. Works on what was written, right or wrong. */
import type { CloudName } from "../clouds/places.ts";
import { childPath } from "./path.ts";
import { type Members, membersOf, type Report, valid } from "./raw.ts";
import { regionSchema, tailnetApiSchema } from "./schema.ts";

/** The ways to find out about a client; each that is given has to let it in. */
const questions = ["verifyClientUrl", "tailnetApi", "allow"] as const;

/** Clouds that have a way for a secret to reach one machine and no other. */
const secretClouds: ReadonlySet<CloudName> = new Set(["aws"]);

export function checkAdmission(cloud: CloudName, region: Members, path: string, report: Report): void {
  const at = childPath(path, "admission");
  if (region["admission"] === undefined) {
    report(at, `is missing; write who may connect: a mapping with ${questions.join(", ")}, or anyone: true`);
    return;
  }
  const written = membersOf(region["admission"]);
  if (written["tailnetApi"] !== undefined && !secretClouds.has(cloud)) {
    report(
      childPath(at, "tailnetApi"),
      `needs a secret on the machine, and none can reach one at ${cloud}; write verifyClientUrl or allow, which need none`,
    );
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

/** A key of the configuration that a region names as a secret. */
export interface SecretReference {
  /** Of the place that names it. */
  readonly path: string;
  readonly name: string;
}

/** What of a region's admission is a secret. @param path of the region */
export function secretsOfAdmission(region: Members, path: string): SecretReference[] {
  const api = membersOf(membersOf(region["admission"])["tailnetApi"]);
  const name = valid(tailnetApiSchema.entries.secret, api["secret"]);
  const at = childPath(childPath(childPath(path, "admission"), "tailnetApi"), "secret");
  return name === undefined ? [] : [{ path: at, name }];
}
