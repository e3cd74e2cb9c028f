/** `npm test`: every test that needs no foreign program, the statements about derper among them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, statSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import process from "node:process";
import { type Command, renderHelp } from "./cli/command.ts";

const root = path.join(import.meta.dirname, "..");

export const command: Command = {
  name: "test",
  summary: "Run the tests that need no foreign program.",
  usage: "[FOLDER | FILE | PATTERN OF FILES | OPTION OF node --test]...",
  about:
    "npm test -- relay/core                       the tests below a folder\n" +
    "npm test -- --test-name-pattern='port 0'     those with such a name",
  flags: {},
  raw: true,
  async run({ positionals, out, signal }) {
    if (positionals.includes("--help")) {
      out.line(renderHelp(command));
      return 0;
    }
    // Each file of tests is a process: it finds what the launcher has kept, below a folder for this Node.js.
    const kept = getCompileCacheDir();
    const env = kept === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: path.dirname(kept) };
    const tests = spawn(process.execPath, testArguments(positionals), { cwd: root, stdio: "inherit", env });
    signal.addEventListener("abort", () => tests.kill("SIGTERM"));
    const [status]: unknown[] = await once(tests, "exit");
    return status === 0 ? 0 : 1;
  },
};

/**
 * One file more than there are processors, as tests wait for sockets and processes. A test that hangs fails by its name: after
 * a minute, and after ten if it waits for foreign programs. Node applies that to each test within a test as well, whatever the
 * outer one allows itself.
 */
const defaultsFor = (places: readonly string[]): string[] => [
  `--test-concurrency=${availableParallelism() + 1}`,
  `--test-timeout=${(places.some(isForeign) ? 10 : 1) * 60_000}`,
];

const isForeign = (place: string): boolean => path.normalize(place).split(path.sep)[0] === "interop";

/** What runs on Node alone. In the last folder the tests against derper and on Bun are skipped where these are missing. */
const everything = ["relay", "infra", "scripts", "interop/conformance"];

/** The tests of pieces: without those (`*.e2e.test.ts`) that run whole commands, as processes of their own. */
export const unitTests = {
  product: "{relay,infra}/**/!(*.e2e).test.ts",
  tools: "scripts/**/!(*.e2e).test.ts",
} as const;

/** Node's arguments: what names a folder or files chooses tests, everything else is an option of `node --test`. */
export function testArguments(args: readonly string[]): string[] {
  const chosen = args.filter((arg) => kindOf(arg) !== undefined);
  const options = args.filter((arg) => !chosen.includes(arg));
  const patterns = (chosen.length === 0 ? everything : chosen).map((place) =>
    kindOf(place) === "folder" ? `${place.replace(/\/$/, "")}/**/*.test.ts` : place,
  );
  return ["--test", "--test-reporter=spec", ...defaultsFor(chosen), ...options, ...patterns];
}

function kindOf(place: string): "folder" | "files" | undefined {
  const found = statSync(path.join(root, place), { throwIfNoEntry: false });
  if (found === undefined) return globSync(place, { cwd: root }).length > 0 ? "files" : undefined;
  return found.isDirectory() ? "folder" : "files";
}
