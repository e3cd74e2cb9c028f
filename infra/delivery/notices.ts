/** The licences of what a bundle contains: they have to go wherever the file goes. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

/**
 * Collects the licence texts of the packages among a bundle's inputs.
 *
 * @param root absolute path of the project
 * @param inputs names of modules, relative to `root`, with slashes: `node_modules/<package>/...` for a package's
 * @returns one JavaScript comment, packages in the order of their names; empty without packages
 */
export async function collectNotices(root: string, inputs: readonly string[]): Promise<string> {
  const packages = new Set(inputs.map(packageOf).filter((name) => name !== undefined));
  const notices = await Promise.all(
    [...packages].sort().map(async (name) => `${name}\n\n${await readLicence(root, name)}`),
  );
  if (notices.length === 0) return "";
  return `/*\nThis file contains:\n\n${notices.join("\n\n").replaceAll("*/", "* /")}\n*/`;
}

/** `@noble/ciphers` for `node_modules/@noble/ciphers/salsa.js`. */
function packageOf(input: string): string | undefined {
  return /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

async function readLicence(root: string, name: string): Promise<string> {
  const folder = path.join(root, "node_modules", name);
  const file = (await readdir(folder)).sort().find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (file === undefined) throw new Error(`the package ${name} has no licence file`);
  const text = await readFile(path.join(folder, file), "utf8");
  return text.replaceAll("\r\n", "\n").trim();
}
