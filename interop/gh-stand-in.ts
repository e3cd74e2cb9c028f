/**
 * In the place of GitHub's CLI: `gh api` on comments and issues of one repository, kept in a file, and `gh auth setup-git`.
 * It takes the flags that the real one has (cli.github.com/manual/gh_api) and refuses what the token may not.
 *
 * GH_STAND_IN names the file, a `Store`.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";

export interface Post {
  readonly id: number;
  readonly number: number;
  title: string;
  body: string;
  state: "open" | "closed";
  /** The REST API has it only where an issue is a pull request. */
  readonly pull_request?: object;
  readonly user: { readonly type: "Bot" | "User" };
}

export interface Store {
  /** What each token may: names of permissions that it can write. */
  readonly tokens: Readonly<Record<string, readonly string[]>>;
  readonly repository: string;
  readonly issues: Post[];
  /** By the number of the issue or pull request. */
  readonly comments: Record<string, Post[]>;
}

/** Of GitHub: what it takes in a body. */
const maxBody = 65_536;

function main(args: readonly string[]): void {
  const file = process.env["GH_STAND_IN"] ?? "";
  appendFileSync(`${file}.log`, `${JSON.stringify(args)}\n`);
  const store = JSON.parse(readFileSync(file, "utf8")) as Store;
  const rights = store.tokens[process.env["GH_TOKEN"] ?? ""];
  if (rights === undefined) fail("HTTP 401: Bad credentials");
  if (args.join(" ") === "auth setup-git") {
    if (!rights.includes("contents")) fail("the token may not push");
    return;
  }
  if (args[0] !== "api") fail(`unknown command ${args.join(" ")}`);
  const { values, positionals } = parseArgs({
    args: args.slice(1),
    allowPositionals: true,
    options: {
      paginate: { type: "boolean" },
      silent: { type: "boolean" },
      method: { type: "string", short: "X" },
      jq: { type: "string", short: "q" },
      "raw-field": { type: "string", short: "f", multiple: true },
    },
  });
  const [endpoint] = positionals;
  if (endpoint === undefined || positionals.length > 1) fail("accepts 1 arg(s)");
  if (values.silent && values.jq !== undefined)
    fail("only one of `--template`, `--jq`, `--silent` may be used");
  const fields = Object.fromEntries(
    (values["raw-field"] ?? []).map((field) => {
      const [name = "", ...rest] = field.split("=");
      return [name, rest.join("=")];
    }),
  );
  const method = values.method ?? (Object.keys(fields).length > 0 ? "POST" : "GET");
  const answer = ask(store, method, endpoint, fields, rights);
  writeFileSync(file, JSON.stringify(store));
  if (values.silent) return;
  if (values.jq === undefined) {
    process.stdout.write(JSON.stringify(answer));
    return;
  }
  const { status, stdout, stderr } = spawnSync("jq", ["-r", values.jq], {
    input: JSON.stringify(answer),
    encoding: "utf8",
  });
  if (status !== 0) fail(stderr);
  process.stdout.write(stdout);
}

function ask(
  { repository, issues, comments }: Store,
  method: string,
  endpoint: string,
  fields: Readonly<Record<string, string>>,
  rights: readonly string[],
): unknown {
  const [place = "", query = ""] = endpoint.split("?");
  const prefix = `repos/${repository}/issues`;
  if (!place.startsWith(prefix)) fail("HTTP 404: Not Found");
  const [, kind = "", id = "", of = ""] =
    /^(?:\/(comments)\/(\d+)|\/(\d+)(?:\/comments)?)?$/.exec(place.slice(prefix.length)) ?? fail("HTTP 404");
  if ((fields["body"]?.length ?? 0) > maxBody) fail("HTTP 422: body is too long");
  const isComment = kind !== "" || place.endsWith("/comments");
  const isPull = (number: string): boolean =>
    issues.find((each) => String(each.number) === number)?.pull_request !== undefined;
  const owner =
    kind === ""
      ? of
      : (Object.entries(comments).find(([, all]) => all.some((each) => String(each.id) === id))?.[0] ?? "");
  if (method !== "GET" && !rights.includes(isComment && isPull(owner) ? "pull-requests" : "issues")) {
    fail("HTTP 403: Resource not accessible by integration");
  }
  const made = (): Post => ({
    id: Object.values(comments).flat().length + issues.length + 1_000,
    number: issues.length + 1,
    title: fields["title"] ?? "",
    body: fields["body"] ?? "",
    state: "open",
    user: { type: "Bot" },
  });
  if (isComment && kind === "") {
    const all = (comments[of] ??= []);
    if (method === "POST") all.push(made());
    return all;
  }
  if (isComment)
    return change(
      comments[owner]?.find((each) => String(each.id) === id),
      method,
      fields,
    );
  if (of !== "")
    return change(
      issues.find((each) => String(each.number) === of),
      method,
      fields,
    );
  if (method === "POST") issues.push(made());
  return new URLSearchParams(query).get("state") === "open"
    ? issues.filter(({ state }) => state === "open")
    : issues;
}

function change(post: Post | undefined, method: string, fields: Readonly<Record<string, string>>): Post {
  if (post === undefined) fail("HTTP 404: Not Found");
  if (method === "PATCH") Object.assign(post, fields);
  return post;
}

function fail(why: string): never {
  process.stderr.write(`gh: ${why}\n`);
  process.exit(1);
}

if (import.meta.main) main(process.argv.slice(2));
