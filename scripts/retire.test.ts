/** The command on real relays, a real repository, and a script in the place of Pulumi's CLI. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { KitError } from "../relay/errors.ts";
import { FrameType } from "../relay/protocol/frame.ts";
import { encodeFrame } from "../relay/protocol/writer.ts";
import { joinRelay, type RunningRelay, startTestRelay } from "../relay/testing/running-relay.ts";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { command } from "./retire.ts";
import { noStandIn as skip, projectFolder } from "./testing/project-folder.ts";
import { apiKey, startPolicyService } from "./policy/testing/policy-service.ts";
import { failureOf, type Ran, runCommand } from "./testing/run-command.ts";

const token = "hush-hush-hush-hush";
const project = projectFolder();

function retire(t: TestContext, ...args: readonly string[]): Promise<Ran> {
  return runCommand(command, ["--stack", "eu", ...args], t.signal);
}

const renderStack = (state: string): string => `# A fleet.
config:
  derpkit:domain: derp.example.com # ours
  derpkit:delivery: { s3: { bucket: example-releases, location: eu-central-1 } }
  derpkit:trustedKeys: [MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=]
  derpkit:reader: { secure: v1:abc }
  derpkit:regions:
    # Alfa is our first.
    - { id: 901, code: alfa, name: Alfa, cloud: hetzner, location: fsn1, admission: { anyone: true } } # old
    - id: 902
      code: bravo
      name: Bravo
      cloud: hetzner
      location: hel1
      admission: { anyone: true }
      state: ${state} # for now
      statusToken: reader
`;

function stackFile(): string {
  return path.join(process.cwd(), "Pulumi.eu.yaml");
}

const written = (): string => readFileSync(stackFile(), "utf8");

/** Has the last `up` have left bravo in a state, its relays being these. The CLI opens the token. */
async function leave(t: TestContext, state: string, relays: readonly RunningRelay[]): Promise<void> {
  const nodes = relays.map(({ hostName, pin, derpPort, stunPort }, index) => ({
    name: `902${"ab"[index]}`,
    regionId: 902,
    regionCode: "bravo",
    state,
    hostName,
    certName: pin,
    ipv4: "127.0.0.1",
    ipv6: "none",
    derpPort,
    stunPort,
  }));
  await writeFile("outputs", JSON.stringify({ derpMap: { Regions: {} }, unverified: [], nodes }));
  project.standIn(
    t,
    `case "$1 $2" in "config get") [ "$3" = derpkit:reader ] && echo ${token};; "stack output") cat outputs;; *) exit 9;; esac`,
  );
}

/** A relay that shows its page to who has the token, and mostly knows that its region is draining. */
async function startRelay(t: TestContext, isDraining = true): Promise<RunningRelay> {
  const folder = temporaryFolder(t);
  const [statusTokenFile, drainingFile] = [path.join(folder, "token"), path.join(folder, "draining")];
  await writeFile(statusTokenFile, token);
  if (isDraining) await writeFile(drainingFile, "");
  return await startTestRelay(t, { statusTokenFile, drainingFile });
}

/** Has this process, and the relays in it, be two minutes older. */
function growOld(t: TestContext): void {
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 120_000);
}

function git(...args: readonly string[]): string {
  const identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"];
  return execFileSync("git", [...identity, ...args], { encoding: "utf8" });
}

/** Makes the project a repository with all that is in it. */
function commitAll(t: TestContext): void {
  const former = { ...process.env };
  t.after(() => Object.assign(process.env, former));
  Object.assign(process.env, {
    GIT_AUTHOR_NAME: "Alice",
    GIT_AUTHOR_EMAIL: "alice@example.com",
    GIT_COMMITTER_NAME: "Alice",
    GIT_COMMITTER_EMAIL: "alice@example.com",
    GIT_CONFIG_GLOBAL: "/dev/null",
  });
  git("init", "--quiet");
  git("add", "--all");
  git("commit", "--quiet", "--message", "Begin");
}

test("a region that serves may drain at any time; the change is shown and is all there is", async (t) => {
  project.lay({ eu: renderStack("serving") });
  const { status, text, document } = await retire(t, "bravo");
  assert.equal(status, 0);
  assert.equal(written(), renderStack("draining"));
  assert.match(
    text,
    /region 902 \(bravo\) of stack eu: serving -> draining[^]*-.*serving # for now\n {2}\+.*draining # for now/,
  );
  assert.match(
    text,
    /1\. Commit [^]*2\. Run `npm run pulumi -- up --stack eu`[^]*3\. Then run `npm run retire/,
  );
  assert.partialDeepStrictEqual(document, { ok: true, from: "serving", to: "draining", commit: null });
});

test("nobody at home at any node: the region that drains is retired", { skip }, async (t) => {
  growOld(t);
  project.lay({ eu: renderStack("draining") });
  await leave(t, "draining", [await startRelay(t), await startRelay(t)]);
  const { status } = await retire(t, "902");
  assert.equal(status, 0);
  assert.equal(written(), renderStack("retired"));
});

/** A client whose home the relay is. */
async function goHome(t: TestContext, relay: RunningRelay) {
  const alice = await joinRelay(t, relay);
  alice.transport.stream.write(encodeFrame(FrameType.notePreferred, Buffer.of(1)));
  await alice.ping(t.signal);
  return alice;
}

test(
  "who is still at home when the time is over is let go by every node, and then the region is retired",
  { skip },
  async (t) => {
    growOld(t);
    project.lay({ eu: renderStack("draining") });
    const [first, second] = [await startRelay(t), await startRelay(t)];
    await leave(t, "draining", [first, second]);
    const alice = await goHome(t, second);
    const { status, notes } = await retire(t, "bravo", "--max-wait", "0s");
    assert.equal(status, 0);
    assert.equal(written(), renderStack("retired"));
    assert.match(notes.join("\n"), /the relays let 1 clients go within 0\.02 s, and refuse each for 40 s/);
    await assert.rejects(alice.ping(t.signal));
  },
);

test(
  "somebody at home at a relay that does not know that its region drains stays, and nothing is changed",
  { skip },
  async (t) => {
    growOld(t);
    project.lay({ eu: renderStack("draining") });
    const [first, second] = [await startRelay(t, false), await startRelay(t, false)];
    await leave(t, "draining", [first, second]);
    await goHome(t, second);
    const { status, notes, document } = await retire(t, "bravo", "--max-wait", "0s");
    assert.equal(status, 1);
    assert.equal(written(), renderStack("draining"));
    assert.match(notes.join("\n"), /902b: its relay has not heard yet that the region is draining/);
    assert.match(
      notes.join("\n"),
      /1 at home \(902b: 1\): region 902 \(bravo\) stays draining, and nothing was changed/,
    );
    const nodes = [{ homeConnections: 0 }, { homeConnections: 1 }];
    assert.partialDeepStrictEqual(document, { ok: false, to: "draining", nodes });
  },
);

test("a Ctrl-C while it waits changes nothing, and run again it goes on", { skip }, async (t) => {
  growOld(t);
  project.lay({ eu: renderStack("draining") });
  const relay = await startRelay(t);
  await leave(t, "draining", [relay]);
  await goHome(t, relay);
  const stop = new AbortController();
  const seen: string[] = [];
  const waiting = runCommand(command, ["--stack", "eu", "bravo"], stop.signal, (text) => {
    seen.push(text);
    stop.abort("SIGINT");
  });
  await assert.rejects(waiting, (reason) => reason === "SIGINT");
  assert.deepEqual(seen, ["1 at home (902a: 1)"]);
  assert.equal(written(), renderStack("draining"));
  assert.equal((await retire(t, "bravo", "--max-wait", "0s")).status, 0, "it asks again");
});

test("a relay that has just been started says nothing of who will be at home", { skip }, async (t) => {
  project.lay({ eu: renderStack("draining") });
  const relay = await startRelay(t);
  await leave(t, "draining", [relay]);
  const { status, notes } = await retire(t, "bravo", "--max-wait", "0s");
  assert.equal(status, 1);
  assert.match(notes.join(), /902a: started \d+ s ago, and clients may still come back/);
});

test(
  "a node that does not answer is not taken for one where nobody is, unless that is said",
  { skip },
  async (t) => {
    project.lay({ eu: renderStack("draining") });
    const relay = await startRelay(t);
    await leave(t, "draining", [{ ...relay, pin: `sha256-raw:${"0".repeat(64)}` }]);
    const { status, notes } = await retire(t, "bravo", "--max-wait", "0s");
    assert.equal(status, 1);
    assert.match(notes.join(), /902a: .*certificate/);
    const anyway = await retire(t, "bravo", "--anyway");
    assert.match(anyway.notes.join(), /^WARNING: NOBODY WAS ASKED who is still at home in bravo/);
    assert.equal(written(), renderStack("retired"));
  },
);

test("a token that the node does not take is told at once, and not shown", { skip }, async (t) => {
  project.lay({ eu: renderStack("draining") });
  await leave(t, "draining", [await startRelay(t)]);
  process.env["DERPKIT_STATUS_TOKEN"] = "another-one-of-16";
  t.after(() => delete process.env["DERPKIT_STATUS_TOKEN"]);
  const said = await failureOf(retire(t, "bravo"));
  assert.match(said, /node 902a: The node does not take the status token\. \[region-not-ready\]/);
  assert.doesNotMatch(said, /another-one/);
});

test("a step that was not applied is not followed by the next", { skip }, async (t) => {
  project.lay({ eu: renderStack("draining") });
  await leave(t, "serving", [await startRelay(t)]);
  assert.match(
    await failureOf(retire(t, "bravo")),
    /cannot be retired yet\. The stack file says draining, and after the last `up` the region is serving[^]*npm run pulumi -- up --stack eu/,
  );
});

test("a region without a token cannot be asked, and what to do is told", { skip }, async (t) => {
  const text = renderStack("draining")
    .replace("      statusToken: reader\n", "")
    .replace(/.*derpkit:reader.*\n/, "");
  project.lay({ eu: text });
  await leave(t, "draining", [await startRelay(t)]);
  assert.match(await failureOf(retire(t, "bravo")), /names no statusToken[^]*give --anyway/);
});

test(
  "a retired region is deleted once the policy is pushed and nobody is at home, with its secrets",
  { skip },
  async (t) => {
    growOld(t);
    project.lay({ eu: renderStack("retired") });
    await leave(t, "retired", [await startRelay(t)]);
    for (const name of ["TS_API_KEY", "TS_OAUTH_CLIENT_ID"]) delete process.env[name];
    assert.match(await failureOf(retire(t, "bravo")), /cannot be deleted yet[^]*give --policy-pushed/);
    const { status, text, document } = await retire(t, "bravo", "--policy-pushed");
    assert.equal(status, 0);
    assert.match(text, /Secrets that only it named went with it: reader/);
    assert.deepEqual(document["orphans"], ["reader"]);
    const alfa = renderStack("x")
      .replace(/ {4}- id: 902[^]*$/, "")
      .replace(/.*derpkit:reader.*\n/, "");
    assert.equal(written(), alfa);
  },
);

test("who has credentials has the policy service say whether the policy was pushed", { skip }, async (t) => {
  growOld(t);
  project.lay({ eu: renderStack("retired") });
  await leave(t, "retired", [await startRelay(t)]);
  const service = await startPolicyService(
    t,
    '{ "derpMap": { "Regions": { "0902": { "RegionID": 902 } } } }',
  );
  const former = { ...process.env };
  t.after(() => {
    process.env = former;
  });
  process.env["TS_API_KEY"] = apiKey;
  process.env["TAILSCALE_API_URL"] = service.server.url.href;
  assert.match(await failureOf(retire(t, "bravo")), /cannot be deleted yet[^]*the tailnet policy has it\./);
  assert.match(written(), /bravo/);
  service.text = '{ "derpMap": { "Regions": {} } } // 902';
  assert.equal((await retire(t, "bravo")).status, 0);
  assert.doesNotMatch(written(), /bravo/);
  assert.deepEqual(new Set(service.asked()), new Set(["GET acl"]));
});

test("the step is committed, and nothing else that changed", async (t) => {
  project.lay({ eu: renderStack("serving") });
  commitAll(t);
  writeFileSync("other", "mine");
  git("add", "other");
  const { document } = await retire(t, "bravo", "--commit");
  assert.equal(document["commit"], "Drain region bravo (902) of stack eu");
  assert.equal(git("log", "--format=%s", "-1").trim(), document["commit"]);
  assert.equal(git("show", "--format=", "--name-only", "HEAD").trim(), "Pulumi.eu.yaml");
  assert.equal(git("status", "--porcelain", "other").trim(), "A  other");
});

test("what was interrupted before it was committed is committed when it is run again, and no step is taken twice", async (t) => {
  project.lay({ eu: renderStack("serving") });
  commitAll(t);
  await retire(t, "bravo");
  const { status, document } = await retire(t, "bravo", "--commit");
  assert.deepEqual([status, document["from"], document["to"]], [0, "serving", "draining"]);
  assert.equal(written(), renderStack("draining"));
  assert.equal(git("status", "--porcelain").trim(), "");
});

test("other changes of the stack file are not committed with the step", async (t) => {
  project.lay({ eu: renderStack("serving") });
  commitAll(t);
  writeFileSync(stackFile(), written().replace("# ours", "# mine"));
  assert.match(
    await failureOf(retire(t, "bravo", "--commit")),
    /changes that are not committed[^]*run the command again/,
  );
  assert.match(written(), /state: serving/);
});

test("without a repository there is nothing to commit to, and nothing is changed", async (t) => {
  project.lay({ eu: renderStack("serving") });
  assert.match(await failureOf(retire(t, "bravo", "--commit")), /\[git-failed\]/);
  assert.equal(written(), renderStack("serving"));
});

test("what cannot be run says why", async (t) => {
  project.lay({ eu: renderStack("serving") });
  for (const args of [[], ["alfa", "bravo"], ["charlie"], ["alfa", "--max-wait", "soon"]]) {
    await assert.rejects(retire(t, ...args), (error) => error instanceof KitError && error.code === "usage");
  }
});
