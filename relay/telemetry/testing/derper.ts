/**
 * What derper 1.102.5 exports, started with -certmode manual and -rate-config and asked once for each page through
 * TLS 1.3. Its command line, its Go version and its MemStats are left out of the captures.
 */
import { readFileSync } from "node:fs";
import path from "node:path";

/** A line of `/debug/varz` without its number. */
export interface Series {
  readonly type: string;
  /** With the suffix of a histogram's line. */
  readonly name: string;
  /** As printed, with brackets; empty without labels. */
  readonly labels: string;
}

/** The lines of `/debug/varz`; one of `derp_tcp_rtt` stands for the type line that it has without any. */
export const derperSeries: readonly Series[] = readLines("derper-varz.txt").map((line) => {
  const [, type = "", name = "", labels = ""] = /^(\S+) ([^{]+)(.*)$/.exec(line) ?? [];
  return { type, name, labels };
});

/** The lines of `/debug/vars`, without the comma at their end. */
export const derperVars: readonly string[] = readLines("derper-vars.txt").map((line) =>
  line.replace(/,$/, ""),
);

function readLines(file: string): string[] {
  return readFileSync(path.join(import.meta.dirname, file), "utf8")
    .trimEnd()
    .split("\n");
}
