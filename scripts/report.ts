/** `npm run report`: what other commands wrote with --json, as one page for a pull request or an issue. */
import { join } from "node:path";
import process from "node:process";
import { readIfThere, writeNamed } from "../relay/config/files.ts";
import { KitError } from "../relay/errors.ts";
import type { Command, CommandContext, ExitStatus } from "./cli/command.ts";
import { type Documents, reportCheck } from "./report/check.ts";
import { reportDrift } from "./report/drift.ts";
import { renderMarker, renderReport, type Section } from "./report/markdown.ts";

export const command: Command = {
  name: "report",
  summary: "Make a page of what other commands found: for a pull request, or about drift.",
  usage: "check|drift --stack NAME --from FOLDER --out FILE",
  about: [
    "check   what a pull request would do: preview.json, policy.json (of `policy diff`) and plan.json in the folder",
    "drift   whether cloud, DNS, policy and what runs are as described: preview.json (with --refresh), policy.json (of",
    "        `policy diff`) and verify.json (with --released)",
    "",
    "Each file is what the command of that name wrote with --json, also when it failed: the page then says so, and why. The",
    "page is Markdown, begins with a mark by which it is found again, and is never longer than GitHub takes. docs/gitops.md",
    "shows the workflow. Exit status 1: something failed, differs, or could not be asked.",
  ].join("\n"),
  flags: {
    stack: { type: "string", value: "NAME", help: "what the page is about" },
    from: { type: "string", value: "FOLDER", help: "where the files are" },
    out: { type: "string", value: "FILE", help: "the page to write" },
  },
  positionals: true,
  run,
};

async function run({ flags, positionals, out }: CommandContext): Promise<ExitStatus> {
  const { stack, from, out: file } = flags;
  const [kind] = positionals;
  if (positionals.length !== 1 || (kind !== "check" && kind !== "drift")) throw usage("Say check or drift.");
  if (typeof stack !== "string" || typeof from !== "string" || typeof file !== "string") {
    throw usage("report takes --stack NAME, --from FOLDER and --out FILE.");
  }
  // It becomes part of a comment that begins the page.
  if (!/^[a-z0-9][\w.-]{0,99}$/i.test(stack)) throw usage("--stack takes a stack's name.");
  const { title, sections, ok, document } = (kind === "check" ? makeCheck : makeDrift)(
    await readDocuments(from),
    stack,
  );
  const page = renderReport(renderMarker(kind, stack), title, sections, renderFoot(process.env));
  await writeNamed(file, page);
  for (const { title: what, summary } of sections) out.line(`${what}: ${summary}`);
  out.document({ ok, ...document });
  return ok ? 0 : 1;
}

interface Made {
  readonly title: string;
  readonly sections: readonly Section[];
  readonly ok: boolean;
  readonly document: object;
}

function makeCheck(documents: Documents, stack: string): Made {
  const { sections, failed } = reportCheck(documents);
  const ok = failed.length === 0;
  const title = ok
    ? `Stack ${stack}: what this would change`
    : `Stack ${stack}: ${failed.join(" and ")} failed`;
  return { title, sections, ok, document: { failed } };
}

function makeDrift(documents: Documents, stack: string): Made {
  const sections = reportDrift(documents);
  const drifted = sections.filter(({ verdict }) => verdict === "drifted").map(({ title }) => title);
  const unknown = sections.filter(({ verdict }) => verdict === "not asked").map(({ title }) => title);
  const words = [
    ...(drifted.length > 0 ? [`${drifted.join(", ")} drifted`] : []),
    ...(unknown.length > 0 ? [`${unknown.join(", ")} could not be asked`] : []),
  ];
  const ok = words.length === 0;
  const title = `Stack ${stack}: ${ok ? "as described" : words.join("; ")}`;
  return { title, sections, ok, document: { drifted, unknown } };
}

async function readDocuments(folder: string): Promise<Documents> {
  const read = (name: string): Promise<string | undefined> => readIfThere(join(folder, `${name}.json`));
  const [preview, plan, policy, verify] = await Promise.all(
    ["preview", "plan", "policy", "verify"].map(read),
  );
  return { preview, plan, policy, verify };
}

/** Where the page comes from, as GitHub Actions says; elsewhere nowhere. */
function renderFoot(env: NodeJS.ProcessEnv): string {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  const made = "<sub>Made by `derpkit report`";
  if (server === undefined || repository === undefined || id === undefined) return `${made}</sub>`;
  return `${made} in [this run](${server}/${repository}/actions/runs/${id})</sub>`;
}

function usage(message: string): KitError {
  return new KitError("usage", { message });
}
