/** `npm run docs`: writes the pages that come from the code. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { renderConfigurationDocs } from "../infra/config/docs.ts";
import type { Command } from "./cli/command.ts";
import { renderConformanceDocs } from "./docs/conformance.ts";
import { renderErrorDocs } from "./docs/errors.ts";
import { renderMetricDocs } from "./docs/metrics.ts";
import { renderPerformanceDocs } from "./docs/performance.ts";
import { renderRelayOptionDocs } from "./docs/relay-options.ts";
import { renderStackSchema } from "./docs/stack-schema.ts";

const root = path.join(import.meta.dirname, "..");

/** Each page's path from the root, and its text. */
const pages: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": renderConfigurationDocs,
  "docs/conformance.md": renderConformanceDocs,
  "docs/errors.md": renderErrorDocs,
  "docs/metrics.md": renderMetricDocs,
  "docs/performance.md": renderPerformanceDocs,
  "docs/relay-options.md": renderRelayOptionDocs,
  "docs/stack.schema.json": renderStackSchema,
};

export const command: Command = {
  name: "docs",
  summary: "Write the pages of docs/ that come from the code.",
  usage: "[--check]",
  flags: { check: { type: "boolean", help: "change nothing; exit 1 if a page is not what the code gives" } },
  async run({ flags, out }) {
    const rendered = Object.entries(pages).map(([page, render]) => ({ page, text: render() }));
    const current = await Promise.all(rendered.map(({ page }) => readPage(page)));
    const stale = rendered.filter(({ text }, index) => text !== current[index]);
    const check = flags["check"] === true;
    if (!check) await Promise.all(stale.map(({ page, text }) => writePage(page, text)));
    for (const { page } of stale)
      out.line(check ? `${page} is not what the code gives: npm run docs` : `wrote ${page}`);
    if (stale.length === 0) out.line("nothing changed");
    const ok = !check || stale.length === 0;
    out.document({ ok, pages: Object.keys(pages), stale: stale.map(({ page }) => page) });
    return ok ? 0 : 1;
  },
};

async function readPage(page: string): Promise<string | undefined> {
  return await readFile(path.join(root, page), "utf8").catch(() => undefined);
}

async function writePage(page: string, text: string): Promise<void> {
  const file = path.join(root, page);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}
