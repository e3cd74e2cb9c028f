/**
 * The template of a user's repository as GitHub Actions would run it: the `run:` steps of its workflow, in order and with a
 * real shell, on the packed kit, under Pulumi's engine with clouds on loopback, a policy service and a stand-in for `gh`. A
 * real relay stands for the machine. Actions (`uses:`) are played. Needs npm's registry, and jq.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import timers from "node:timers/promises";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { encodePublicKey } from "../relay/updater/public-key.ts";
import { parseByOracle } from "../scripts/policy/testing/oracle.ts";
import { type PolicyService, startPolicyService } from "../scripts/policy/testing/policy-service.ts";
import type { Post } from "./gh-stand-in.ts";
import { leadTo } from "./detours.ts";
import { createPlace, type RelayProcess, startRelayProcess } from "./relay-process.ts";
import { type Clouds, startClouds, whyNoClouds } from "./simcloud.ts";
import { takeWhatComes } from "./stand-in-updater.ts";
import { pull, type RunEvent, secrets, signingKey, UserRepository } from "./user-repository.ts";
import type { RanJob } from "./workflow.ts";

const timeout = 1_500_000;
const skip =
  whyNoClouds ?? (spawnSync("jq", ["--version"]).error === undefined ? false : "there is no jq in PATH");

/** The port tells the region apart; which address it gets is the cloud's affair. */
const [derpPort, stunPort] = [8441, 8541];

/** Everyone else's policy, which has to stay byte for byte. */
const others =
  '{\n\t// Who may do what.\n\t"acls": [ {"action": "accept", "src": ["*"], "dst": ["*:*"]}, ],\n}\n';

/** All that a run went through, for a failed test. */
function log(ran: Readonly<Record<string, RanJob>>): string {
  return Object.entries(ran)
    .flatMap(([name, { steps }]) =>
      steps.map(({ label, outcome, said }) => `--- ${name}: ${label}: ${outcome}\n${said}`),
    )
    .join("\n");
}

const resultsOf = (ran: Readonly<Record<string, RanJob>>): Record<string, string> =>
  Object.fromEntries(Object.entries(ran).map(([name, { result }]) => [name, result]));

interface Stage {
  readonly repo: UserRepository;
  readonly clouds: Clouds;
  readonly policy: PolicyService;
  readonly relay: RelayProcess;
  readonly statusFile: string;
}

async function setStage(t: TestContext): Promise<Stage> {
  const folder = temporaryFolder(t);
  const policy = await startPolicyService(t, others);
  const place = await createPlace(t, "901a.derp.example.com", undefined);
  const statusFile = path.join(place.files.folder, "updater.json");
  const detours = leadTo(place, "203.0.113", { derp: derpPort, stun: stunPort });
  const machine = { DERPKIT_CONNECT_TO: detours.join(","), TAILSCALE_API_URL: policy.server.url.href };
  const clouds = await startClouds(["--program-dir", path.join(folder, "work")], machine);
  t.after(() => clouds[Symbol.asyncDispose]());
  // Credentials come from the workflow alone.
  const providers = Object.entries(clouds.environment).filter(([name]) => name.startsWith("PULUMI_"));
  const repo = new UserRepository(folder, { ...machine, ...Object.fromEntries(providers) });
  const relay = await startRelayProcess(t, {
    kind: "node",
    ...place,
    flags: { "updater-status-file": statusFile },
  });
  const node = `{ pin: "${place.files.pin}", derpPort: ${derpPort}, stunPort: ${stunPort} }`;
  repo.create((text) =>
    text
      .replace(/- MCow.*$/m, `- ${encodePublicKey(signingKey)}`)
      .replace("derpkit:dns:", "derpkit:verify: { firstBootMinutes: 3, upgradeMinutes: 3 }\n  derpkit:dns:")
      .replace(
        "location: fsn1\n",
        `location: fsn1\n      addresses: [ipv4]\n      certificates: pinned\n      nodes: [${node}]\n`,
      ),
  );
  return { repo, clouds, policy, relay, statusFile };
}

/** Runs the workflow with an updater beside it that takes what is delivered. */
async function withUpdater({ repo, clouds, statusFile }: Stage, event: RunEvent, branch = "main") {
  const ended = new AbortController();
  const updating = (async () => {
    while (!ended.signal.aborted) {
      await takeWhatComes({ clouds }, { region: "fsn", node: "901a", statusFile });
      await timers.setTimeout(250);
    }
  })();
  try {
    return await repo.run(event, branch);
  } finally {
    ended.abort();
    await updating;
  }
}

const anotherRegion = `    - id: 902
      code: hki
      name: Helsinki
      cloud: hetzner
      location: hel1
      admission: { anyone: true }
`;

test(
  "the template's workflow: a pull request, merges, drift, and what fails",
  { skip, timeout },
  async (t) => {
    const stage = await setStage(t);
    const { repo, clouds, policy, relay } = stage;
    const writes = (): string[] => policy.asked().filter((name) => name === "POST acl");
    const scopes = (): string[] =>
      policy.server.received
        .filter(({ url }) => url.endsWith("/oauth/token"))
        .map(({ body }) => new URLSearchParams(body).get("scope") ?? "");
    const forget = (): void => void (policy.server.received.length = 0);
    const comments = (): Post[] => repo.github.comments[pull] ?? [];
    const issues = (): Post[] => repo.github.issues.filter(({ pull_request }) => pull_request === undefined);
    const regionsIn = (text: string): string[] =>
      Object.keys(Object(parseByOracle(text)).derpMap?.Regions ?? {});

    await t.test("a pull request of a fork gets nothing", async () => {
      repo.commit("change");
      const ran = await repo.run("pull_request", "change", "mallory/our-relays");
      assert.deepEqual(resultsOf(ran), {
        check: "skipped",
        comment: "skipped",
        deploy: "skipped",
        drift: "skipped",
        issue: "skipped",
      });
    });

    await t.test(
      "a pull request on an empty stack: preview, plan and what the policy would get, as a comment",
      async () => {
        const ran = await repo.run("pull_request", "change");
        assert.deepEqual(
          resultsOf(ran),
          { check: "success", comment: "success", deploy: "skipped", drift: "skipped", issue: "skipped" },
          log(ran),
        );
        assert.equal(comments().length, 2);
        const { body } = comments()[1] ?? { body: "" };
        assert.match(body, /^<!-- derpkit check prod -->\n### Stack prod: what this would change\n/);
        assert.match(body, /^\| Preview \| \d+ to create \|$/m);
        assert.match(body, /^create hcloud:index\/server:Server derp-901-901a-server$/m);
        assert.match(
          body,
          /^region 901 fsn: added\nregion 901 fsn: node 901a at 901a\.derp\.example\.com, IPv4 \(known after up\), IPv6 none$/m,
        );
        assert.match(body, /^901a in fsn: 901a\.derp\.example\.com, \(known after up\), none$/m);
        assert.match(body, /\[this run\]\(https:\/\/github\.com\/example\/our-relays\/actions\/runs\/42\)/);
        assert.deepEqual([scopes(), writes()], [["policy_file:read"], []]);
        for (const { env, label } of [...(ran["check"]?.steps ?? []), ...(ran["comment"]?.steps ?? [])]) {
          assert.equal(env["DERPKIT_SIGNING_KEY"], undefined, label);
          assert.doesNotMatch(
            JSON.stringify(env),
            /canary-up|canary-aws-up|canary-token-(?:contents|issues)/,
            label,
          );
        }
        assert.deepEqual((await clouds.state()).hetzner["servers"], []);
      },
    );

    await t.test(
      "a preview that fails is what the comment says, in the place of the one before",
      async () => {
        repo.write("Pulumi.prod.yaml", (text) => text.replace("location: fsn1", "location: fsn9"));
        repo.commit("change");
        const ran = await repo.run("pull_request", "change");
        assert.deepEqual([ran["check"]?.result, ran["comment"]?.result], ["failure", "success"], log(ran));
        assert.equal(comments().length, 2);
        const { body } = comments()[1] ?? { body: "" };
        assert.match(body, /### Stack prod: Preview and Policy and Plan failed/);
        assert.match(body, /regions\[0\]\.location/);
        repo.checkout("main");
      },
    );

    await t.test("a merge: up, verify, push, and what was pushed is remembered", async () => {
      forget();
      const ran = await withUpdater(stage, "push");
      assert.deepEqual(
        resultsOf(ran),
        { check: "skipped", comment: "skipped", deploy: "success", drift: "skipped", issue: "skipped" },
        log(ran),
      );
      assert.deepEqual([scopes(), writes()], [["policy_file"], ["POST acl"]]);
      assert.deepEqual(regionsIn(policy.text), ["901"]);
      const [head = "", tail = ""] = others.split("],\n}");
      assert.ok(policy.text.startsWith(`${head}],\n`) && policy.text.endsWith(`}${tail}`), policy.text);
      assert.equal(repo.listPushed().filter((name) => name.endsWith(".base.json")).length, 1);
      assert.deepEqual(
        repo.listPushed().filter((name) => !name.endsWith(".base.json")),
        [],
      );
      for (const { label, env } of ran["deploy"]?.steps ?? []) {
        assert.equal(env["DERPKIT_SIGNING_KEY"] !== undefined, label === "Up", label);
      }
    });

    await t.test("a second merge without a change pushes nothing", async () => {
      forget();
      const before = policy.text;
      const ran = await withUpdater(stage, "push");
      assert.equal(ran["deploy"]?.result, "success", log(ran));
      assert.deepEqual([writes(), policy.text], [[], before]);
    });

    await t.test("a pull request on a fleet that is up shows what is new alone", async () => {
      repo.write("Pulumi.prod.yaml", (text) =>
        text.replace(/ {2}derpkit:regions:\n/, (key) => key + anotherRegion),
      );
      repo.commit("change");
      const ran = await withUpdater(stage, "pull_request", "change");
      assert.deepEqual([ran["check"]?.result, ran["comment"]?.result], ["success", "success"], log(ran));
      const { body } = comments()[1] ?? { body: "" };
      assert.match(
        body,
        /^region 902 hki: node 902a at 902a\.derp\.example\.com, IPv4 \(known after up\), IPv6 \(known after up\)$/m,
      );
      assert.doesNotMatch(body, /^region 901/m);
      repo.checkout("main");
    });

    await t.test("a night without drift: no issue", async () => {
      const state = repo.readState();
      const ran = await withUpdater(stage, "schedule");
      assert.deepEqual(
        resultsOf(ran),
        { check: "skipped", comment: "skipped", deploy: "skipped", drift: "success", issue: "success" },
        log(ran),
      );
      assert.deepEqual(issues(), []);
      assert.deepEqual(repo.readState(), state, "the state is only read");
      assert.match(ran["drift"]?.outputs["page"] ?? "", /### Stack prod: as described/);
      for (const { env, label } of ran["drift"]?.steps ?? []) {
        assert.equal(env["DERPKIT_SIGNING_KEY"], undefined, label);
        assert.doesNotMatch(JSON.stringify(env), /canary-up|canary-aws-up/, label);
      }
    });

    let good = "";
    await t.test("what somebody edited in the policy is an issue, and a merge does not undo it", async () => {
      good = policy.text;
      policy.text = good.replace('"Falkenstein"', '"Edited by hand"');
      assert.notEqual(policy.text, good);
      const edited = policy.text;
      const ran = await withUpdater(stage, "schedule");
      assert.deepEqual([ran["drift"]?.result, ran["issue"]?.result], ["failure", "success"], log(ran));
      assert.deepEqual(
        issues().map(({ title, state }) => [title, state]),
        [["Stack prod is not as described", "open"]],
      );
      const { body } = issues()[0] ?? { body: "" };
      assert.match(body, /^### Stack prod: Policy drifted$/m);
      assert.match(
        body,
        /region 901 fsn was edited by hand since it was pushed: RegionName "Falkenstein" -> "Edited by hand"/,
      );
      forget();
      const merged = await withUpdater(stage, "push");
      assert.deepEqual(
        [merged["deploy"]?.result, writes(), policy.text],
        ["failure", [], edited],
        log(merged),
      );
    });

    await t.test("drift of cloud, DNS and the running version as well: the same issue says so", async () => {
      const { cloudflare, hetzner } = await clouds.state();
      const record = cloudflare["records"]?.find(({ type }) => type === "A");
      const firewall = hetzner["firewalls"]?.[0];
      const change = async (content: unknown, rules: unknown): Promise<void> => {
        await clouds.drift({ cloud: "cloudflare", kind: "records", id: record?.["id"], set: { content } });
        await clouds.drift({ cloud: "hetzner", kind: "firewalls", id: firewall?.["id"], set: { rules } });
      };
      const program = path.join(relay.files.folder, "relay.mjs");
      const runs = async (bytes: Buffer): Promise<void> => {
        await relay.kill();
        writeFileSync(program, bytes);
        await relay.restart();
      };
      const bytes = readFileSync(program);
      await change("198.51.100.9", []);
      await runs(Buffer.concat([bytes, Buffer.from("\n// Another one.\n")]));
      const ran = await withUpdater(stage, "schedule");
      assert.deepEqual([ran["drift"]?.result, ran["issue"]?.result], ["failure", "success"], log(ran));
      assert.equal(issues().length, 1);
      const { body } = issues()[0] ?? { body: "" };
      assert.match(body, /^### Stack prod: Cloud, DNS, Policy, Running version drifted$/m);
      assert.match(body, /^update hcloud:index\/firewall:Firewall derp-901-firewall \(rules\)$/m);
      assert.match(body, /^update cloudflare:index\/dnsRecord:DnsRecord \S+ \(content\)$/m);
      assert.match(body, /^fsn 901a: healthz: the bundle is [0-9a-f]{64}, and [0-9a-f]{64} is expected$/m);
      await change(record?.["content"], firewall?.["rules"]);
      await runs(bytes);
      policy.text = good;
    });

    await t.test("what cannot be asked is said, and is no reason to close the issue", async () => {
      policy.fault = () => (response) => response.writeHead(500).end();
      const ran = await withUpdater(stage, "schedule");
      policy.fault = () => undefined;
      assert.deepEqual(
        [ran["drift"]?.result, issues().map(({ state }) => state)],
        ["failure", ["open"]],
        log(ran),
      );
      assert.match(issues()[0]?.body ?? "", /^### Stack prod: Policy could not be asked$/m);
    });

    await t.test("all is well again, and the issue is closed", async () => {
      const ran = await withUpdater(stage, "schedule");
      assert.deepEqual([ran["drift"]?.result, ran["issue"]?.result], ["success", "success"], log(ran));
      assert.deepEqual(
        issues().map(({ state }) => state),
        ["closed"],
      );
    });

    await t.test("an up that fails pushes nothing", async () => {
      repo.write("Pulumi.prod.yaml", (text) => text.replace("name: Falkenstein", "name: Renamed"));
      repo.write("Pulumi.prod.yaml", (text) =>
        text.replace(/ {2}derpkit:regions:\n/, (key) => key + anotherRegion),
      );
      repo.commit("main");
      await clouds.fail({ method: "POST", path: "/servers", status: 500, message: "injected for the test" });
      forget();
      const before = policy.text;
      const ran = await withUpdater(stage, "push");
      const deploy = ran["deploy"];
      assert.equal(deploy?.result, "failure", log(ran));
      assert.match(log(ran), /injected for the test/);
      assert.deepEqual(
        deploy.steps.slice(-4).map(({ label, outcome }) => [label, outcome]),
        [
          ["Up", "failure"],
          ["Verify", "skipped"],
          ["Push", "skipped"],
          ["Remember", "skipped"],
        ],
      );
      assert.deepEqual([policy.asked(), policy.text], [[], before]);
    });

    await t.test("no secret is in a comment, an issue, an output or a log", () => {
      const everything = [
        repo.said,
        readFileSync(repo.store, "utf8").replace(/"tokens":\{.*?\},/, ""),
        readFileSync(`${repo.store}.log`, "utf8"),
        policy.text,
      ];
      const all = [...Object.values(secrets.look), ...Object.values(secrets.up), "canary-", "CANARY"];
      for (const secret of all)
        assert.ok(
          everything.every((text) => !text.includes(secret)),
          secret.slice(0, 12),
        );
      assert.match(repo.said, /derp-901-901a-server/, "what was said was looked at");
    });
  },
);
