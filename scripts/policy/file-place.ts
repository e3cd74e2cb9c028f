/** A policy in a file, as a Git repository has it. */
import { createHash } from "node:crypto";
import type { PolicyPlace } from "./place.ts";
import { readPolicyFile, writePolicyFile } from "./text-file.ts";

/** @param file its path, which messages and annotations name as it is given */
export function policyFile(file: string): PolicyPlace {
  const read = async () => {
    const text = await readPolicyFile(file);
    return { text, version: createHash("sha256").update(text).digest("hex") };
  };
  return {
    name: file,
    read,
    // Nobody is asked: whoever applies the file to the tailnet does that.
    validate: async () => [],
    async write(text, version) {
      if ((await read()).version !== version) return { kind: "changed" };
      await writePolicyFile(file, text);
      return { kind: "written" };
    },
  };
}
