import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { KitError, renderError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { openSecretConfig, type SecretConfig } from "./pulumi-cli.ts";

const skip = process.platform === "win32" && "the stand-in for Pulumi's CLI is a shell script";
const canary = "hunter2-4d1f";

/** Secrets by way of this script in the place of Pulumi's CLI; undefined for none. */
function withCli(t: TestContext, script: string | undefined): { secrets: SecretConfig; folder: string } {
  const folder = temporaryFolder(t);
  if (script !== undefined)
    writeFileSync(path.join(folder, "pulumi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const before = process.env["PATH"];
  t.after(() => {
    process.env["PATH"] = before;
  });
  process.env["PATH"] = script === undefined ? folder : `${folder}:${before}`;
  const file = path.join(folder, "Pulumi.prod.yaml");
  const stackFile = { stack: "prod", file, root: folder, config: new Map(), secretKeys: new Set<string>() };
  return { secrets: openSecretConfig(stackFile), folder };
}

/** What a person is shown of a failure. */
async function said(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KitError && error.exit === 2, String(error));
  return renderError(error);
}

test(
  "a value goes in by standard input and comes out by standard output, in the project's folder",
  { skip },
  async (t) => {
    const { secrets, folder } = withCli(
      t,
      'echo "$@" >>said; [ "$2" != set ] || cat >value; [ "$2" != get ] || { cat value; echo; }',
    );
    await secrets.write("signingKey", canary);
    assert.equal(await secrets.read("signingKey"), canary);
    await secrets.remove("signingKey");
    assert.equal(readFileSync(path.join(folder, "value"), "utf8"), canary);
    assert.equal(
      readFileSync(path.join(folder, "said"), "utf8"),
      [
        "config set --secret derpkit:signingKey --stack prod --non-interactive\n",
        "config get derpkit:signingKey --stack prod --non-interactive\n",
        "config rm derpkit:signingKey --stack prod --non-interactive\n",
      ].join(""),
    );
  },
);

for (const [what, script, expected] of [
  [
    "there is no such stack",
    "echo \"error: no stack named 'prod' found\" >&2; exit 6",
    /stack prod: `pulumi config get` failed: no stack named 'prod' found \[pulumi-failed\]\n.*pulumi stack init prod/,
  ],
  [
    "the passphrase is wrong",
    "echo 'error: incorrect passphrase' >&2; exit 1",
    /incorrect passphrase.*\n.*PULUMI_CONFIG_PASSPHRASE/,
  ],
  [
    "nobody is logged in",
    "echo 'error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions' >&2; exit 3",
    /PULUMI_ACCESS_TOKEN must be set.*\n.*pulumi login/,
  ],
  ["it says nothing", "exit 1", /failed: it says nothing/],
  ["a signal ends it", "kill -KILL $$", /failed: it says nothing/],
] as const) {
  test(`if ${what}, the CLI's own words are shown, and what to do`, { skip }, async (t) => {
    assert.match(await said(withCli(t, script).secrets.read("signingKey")), expected);
  });
}

test("without the CLI one is told where to get it, whatever it was for", async (t) => {
  const { secrets } = withCli(t, undefined);
  for (const work of [secrets.read("signingKey"), secrets.write("signingKey", canary)])
    assert.match(await said(work), /Pulumi CLI is not installed/);
});

test("no error holds the value, even if the CLI repeats it or does not read it", { skip }, async (t) => {
  const repeating = withCli(t, 'echo "error: $(cat) is no good" >&2; exit 1').secrets;
  const message = await said(repeating.write("signingKey", canary));
  assert.match(message, /\[secret\] is no good/);
  assert.doesNotMatch(message, new RegExp(canary));
  const deaf = withCli(t, "echo 'error: no' >&2; exit 1").secrets;
  assert.match(await said(deaf.write("signingKey", canary.repeat(100_000))), /failed: no/);
});

test("a stack file elsewhere than in the project is none of the CLI's", () => {
  const stackFile = {
    stack: "prod",
    file: "/a/Pulumi.prod.yaml",
    root: "/b",
    config: new Map(),
    secretKeys: new Set<string>(),
  };
  assert.throws(() => openSecretConfig(stackFile), {
    name: "KitError",
    code: "usage",
    where: "/a/Pulumi.prod.yaml",
  });
});
