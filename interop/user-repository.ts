/** A user's repository, made of the template, and GitHub around it: what runs its workflow, its secrets, and what actions do. */
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import process from "node:process";
import { makeSigningKey, renderSigningKey } from "../infra/delivery/signing-key.ts";
import type { Post, Store } from "./gh-stand-in.ts";
import { installPackages, packKit, runProgram } from "./packed-kit.ts";
import { parseWorkflow, type RanJob, type Runner, runWorkflow } from "./workflow.ts";

const root = path.join(import.meta.dirname, "..");

export const repository = "example/our-relays";
/** The pull request that there is. */
export const pull = "7";
/** Of the environment `up` alone. */
export const signingKey = makeSigningKey();
const passphrase = "canary-passphrase";
/** Of each environment: no value may be seen anywhere. */
export const secrets = {
  look: {
    PULUMI_CONFIG_PASSPHRASE: passphrase,
    HCLOUD_TOKEN: "canary-look-hcloud",
    CLOUDFLARE_API_TOKEN: "canary-look-cloudflare",
    TS_OAUTH_CLIENT_SECRET: "canary-look-tailscale",
  },
  up: {
    PULUMI_CONFIG_PASSPHRASE: passphrase,
    HCLOUD_TOKEN: "canary-up-hcloud",
    CLOUDFLARE_API_TOKEN: "canary-up-cloudflare",
    TS_OAUTH_CLIENT_SECRET: "canary-up-tailscale",
    DERPKIT_SIGNING_KEY: renderSigningKey(signingKey),
  },
} as const;
type EnvironmentName = keyof typeof secrets;
const isEnvironment = (name: string | undefined): name is EnvironmentName =>
  Object.hasOwn(secrets, name ?? "");

export type RunEvent = "pull_request" | "push" | "schedule";

export class UserRepository {
  readonly folder: string;
  readonly workspace: string;
  readonly store: string;
  readonly #clone: string;
  readonly #origin: string;
  readonly #machine: Readonly<Record<string, string>>;
  /** Whatever any step wrote. */
  said = "";

  constructor(folder: string, machine: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.workspace = path.join(folder, "work");
    this.store = path.join(folder, "github.json");
    this.#clone = path.join(folder, "clone");
    this.#origin = path.join(folder, "origin.git");
    const bin = path.join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(path.join(bin, "npm"), this.#renderNpm(), { mode: 0o755 });
    const gh = path.join(root, "interop/gh-stand-in.ts");
    writeFileSync(path.join(bin, "gh"), `#!/bin/sh\nexec '${process.execPath}' '${gh}' "$@"\n`, {
      mode: 0o755,
    });
    const given: NodeJS.ProcessEnv = {
      ...inherited(),
      ...machine,
      PATH: [bin, path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter),
      CI: "true",
      GH_STAND_IN: this.store,
      GITHUB_ACTIONS: "true",
      GITHUB_REPOSITORY: repository,
      GITHUB_RUN_ID: "42",
      GITHUB_SERVER_URL: "https://github.com",
      GITHUB_SHA: "0123456789abcdef0123456789abcdef01234567",
      GITHUB_WORKFLOW: "fleet",
      PULUMI_HOME: path.join(folder, "home"),
      // What was fetched for the lockfile is not fetched again.
      npm_config_prefer_offline: "true",
    };
    this.#machine = Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
  }

  /** Lays the template out as a user would, with the packed kit, and pushes it. @param stackFile changes it */
  create(stackFile: (text: string) => string): void {
    const archive = packKit(this.folder);
    cpSync(path.join(root, "templates/gitops"), this.#clone, { recursive: true });
    this.write("package.json", (text) => text.replace(/"derpkit": ".*"/, `"derpkit": "file:${archive}"`));
    this.write("Pulumi.prod.yaml", stackFile);
    installPackages(this.#clone);
    mkdirSync(path.join(this.folder, "state"));
    runProgram(this.folder, "git", ["init", "--quiet", "--bare", "--initial-branch=main", this.#origin]);
    this.#git("init", "--quiet", "--initial-branch=main");
    this.#git("remote", "add", "origin", this.#origin);
    // As README.md of the template says.
    const tree = this.#git("hash-object", "-w", "-t", "tree", "/dev/null").trim();
    const nothing = this.#git("commit-tree", "-m", "Nothing was pushed yet", tree).trim();
    this.#git("push", "--quiet", "origin", `${nothing}:refs/heads/pushed`);
    const env = { ...this.#machine, ...this.state, PULUMI_CONFIG_PASSPHRASE: passphrase };
    runProgram(this.#clone, "pulumi", ["stack", "init", "prod", "--non-interactive"], env);
    this.commit("main");
    const tokens = {
      "canary-token-pulls": ["pull-requests"],
      "canary-token-issues": ["issues"],
      "canary-token-contents": ["contents"],
    };
    const user = { type: "User" } as const;
    const theirs = { title: "Another relay", body: "Please.", state: "open", user } as const;
    const issues: Post[] = [{ id: 1, number: Number(pull), ...theirs, pull_request: {} }];
    const comments = {
      [pull]: [{ id: 2, number: 0, ...theirs, body: "<!-- derpkit check prod --> says a person" }],
    };
    const store: Store = { tokens, repository, issues, comments };
    writeFileSync(this.store, JSON.stringify(store));
  }

  /** Where the stack's state is. */
  get state(): { readonly PULUMI_BACKEND_URL: string } {
    return { PULUMI_BACKEND_URL: `file://${path.join(this.folder, "state")}` };
  }

  /** Its files, by their names. */
  readState(): Record<string, string> {
    const folder = path.join(this.folder, "state");
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const names = files.map(({ parentPath, name }) => path.join(parentPath, name));
    return Object.fromEntries(names.map((name) => [name, readFileSync(name, "latin1")]));
  }

  write(name: string, change: (text: string) => string): void {
    const file = path.join(this.#clone, name);
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }

  commit(branch: string): void {
    this.#git("checkout", "--quiet", "-B", branch);
    this.#git("add", "--all");
    this.#git("commit", "--quiet", "--allow-empty", "--message", "A change");
    this.#git("push", "--quiet", "--force", "origin", branch);
  }

  checkout(branch: string): void {
    this.#git("checkout", "--quiet", "--force", branch);
  }

  /** What the branch `pushed` has. */
  listPushed(): string[] {
    return runProgram(this.#origin, "git", ["ls-tree", "--name-only", "pushed"])
      .split("\n")
      .filter((name) => name !== "");
  }

  get github(): Store {
    return JSON.parse(readFileSync(this.store, "utf8")) as Store;
  }

  /** Runs the workflow of a branch. @param head the repository that a pull request comes from */
  async run(event: RunEvent, branch: string, head = repository): Promise<Record<string, RanJob>> {
    const yaml = this.#git("show", `${branch}:.github/workflows/fleet.yml`);
    const runner: Runner = {
      workspace: this.workspace,
      env: this.#machine,
      contexts: ({ environment, permissions }) => ({
        github: {
          event_name: event,
          ref: event === "pull_request" ? `refs/pull/${pull}/merge` : "refs/heads/main",
          repository,
          run_id: "42",
          server_url: "https://github.com",
          token: tokenOf(permissions),
          event: {
            pull_request: {
              number: event === "pull_request" ? pull : "",
              head: { repo: { full_name: event === "pull_request" ? head : "" } },
            },
          },
        },
        vars: {
          ...this.state,
          ...(environment === undefined
            ? {}
            : {
                AWS_ROLE: `arn:aws:iam::123456789012:role/${environment}`,
                AWS_REGION: "eu-central-1",
                TS_OAUTH_CLIENT_ID: `client-${environment}`,
              }),
        },
        secrets: isEnvironment(environment) ? secrets[environment] : {},
      }),
      use: (action, given) => this.#use(action, given, branch),
    };
    const ran = await runWorkflow(parseWorkflow(yaml), runner);
    this.said += Object.values(ran)
      .flatMap(({ steps, outputs }) => [...steps.map(({ said }) => said), ...Object.values(outputs)])
      .join("\n");
    return ran;
  }

  /** Plays what the workflow uses; what it does not know is none of it. */
  #use(action: string, given: Readonly<Record<string, string>>, branch: string): Record<string, string> {
    const name = action.replace(/@.*$/, "");
    const place = path.join(this.workspace, given["path"] ?? "");
    if (name === "actions/checkout") {
      assert.equal(given["persist-credentials"], "false");
      const [installed, kept] = [path.join(place, "node_modules"), this.#installed];
      const isWhole = existsSync(path.join(installed, ".package-lock.json"));
      if (isWhole && !existsSync(kept)) renameSync(installed, kept);
      rmSync(place, { recursive: true, force: true });
      const ref = given["ref"] ?? branch;
      runProgram(this.folder, "git", [
        "clone",
        "--quiet",
        "--depth=1",
        `--branch=${ref}`,
        `file://${this.#origin}`,
        place,
      ]);
      return {};
    }
    if (name === "aws-actions/configure-aws-credentials") {
      const role = given["role-to-assume"] ?? "";
      return {
        AWS_REGION: given["aws-region"] ?? "",
        AWS_ACCESS_KEY_ID: role,
        AWS_SECRET_ACCESS_KEY: `canary-aws-${role.split("/").at(-1)}`,
      };
    }
    assert.ok(["actions/setup-node", "pulumi/actions"].includes(name), action);
    return {};
  }

  get #installed(): string {
    return path.join(this.folder, "installed");
  }

  /** What the first job's `npm ci` installed, the later ones get: that takes half a minute each time. */
  #renderNpm(): string {
    const before = `[ "$1" = ci ] && [ -d '${this.#installed}' ] && exec cp -al '${this.#installed}' node_modules`;
    return `#!/bin/sh\n${before}\nPATH=\${PATH#*:}\nexec npm "$@"\n`;
  }

  #git(...args: readonly string[]): string {
    const who = ["-c", "user.name=A person", "-c", "user.email=person@example.com"];
    return runProgram(this.#clone, "git", [...who, ...args]);
  }
}

/** Of this process' environment what a runner has as well. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      /^(?:HOME|LANG|TMPDIR|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|https?_proxy|no_proxy|npm_config_.*)$/i.test(
        name,
      ),
    ),
  );
}

function tokenOf(permissions: Readonly<Record<string, string>>): string {
  if (permissions["pull-requests"] === "write") return "canary-token-pulls";
  if (permissions["issues"] === "write") return "canary-token-issues";
  return permissions["contents"] === "write" ? "canary-token-contents" : "canary-token-none";
}
