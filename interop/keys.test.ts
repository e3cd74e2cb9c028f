/**
 * The life of a signing key under Pulumi's own CLI: a stack with a state in a folder and a passphrase, keys made and changed
 * by `npm run keys`, and what they sign.
 *
 * Needs `pulumi` in PATH.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { parseSigningKey } from "../infra/delivery/signing-key.ts";
import { manifestFile, signatureFile } from "../relay/updater/manifest.ts";
import { decodePublicKey, encodePublicKey } from "../relay/updater/public-key.ts";
import { openManifest } from "../relay/updater/signed-manifest.ts";
import { PulumiProject, whyNoEngine } from "./pulumi-project.ts";

const name = "keyed";
let project: PulumiProject;
/** All that the commands printed. */
let printed = "";
/** Private keys that the stack has had, as the CLI knows them. */
const secrets = new Set<string>();

describe("keys under Pulumi's CLI", { skip: whyNoEngine ?? false }, () => {
  before(() => {
    project = new PulumiProject();
    // Written by hand, with remarks; as a clone has it, before there is a stack.
    const example = readFileSync(path.join(project.project, "Pulumi.hetzner.yaml"), "utf8");
    writeFileSync(file(), example);
    project.pulumi("stack", "init", name);
  });
  after(() => project[Symbol.dispose]());

  test("init makes a secret and writes its public half; a second one is refused", () => {
    const { signer, trustedKeys } = keys("init");
    assert.deepEqual(trustedKeys, [signer]);
    assert.equal(signer, publicKeyOf("signingKey"));
    assert.deepEqual(stackFile().config["derpkit:trustedKeys"], [signer]);
    assert.deepEqual(Object.keys(stackFile().config["derpkit:signingKey"] ?? {}), ["secure"]);
    const again = run("keys", "init", "--stack", name);
    assert.equal(again.status, 1);
    assert.match(again.text, /has a signing key already. \[signing-key-exists\]/);
  });

  test("the program takes the secrets as its own", () => {
    const { status, text } = run("plan", "--stack", name);
    assert.equal(status, 0, text);
  });

  test("so does the engine, and nothing of them is in the state", () => {
    project.pulumi("stack", "init", "local");
    const { status, text } = run("keys", "init", "--stack", "local");
    assert.equal(status, 0, text);
    project.pulumi("up", "--yes", "--skip-preview", "--stack", "local");
    const secret = project.pulumi("config", "get", "derpkit:signingKey", "--stack", "local").trim();
    const state = project.pulumi("stack", "export", "--show-secrets", "--stack", "local");
    assert.match(state, /901a/);
    assert.equal(state.includes(secret.slice(16)), false);
  });

  test("a bundle is signed by it and names it", () => {
    const signer = publicKeyOf("signingKey");
    assert.deepEqual(bundle([signer]).trustedKeys, [signer]);
  });

  test("rotate has machines trust both keys, and the first one signs; then the second one does, alone", () => {
    const first = publicKeyOf("signingKey");
    const both = keys("rotate");
    const second = publicKeyOf("nextSigningKey");
    assert.deepEqual([both.phase, both.signer, both.trustedKeys], ["announced", first, [first, second]]);
    assert.deepEqual(bundle([first]).trustedKeys, [first, second].toSorted());
    const changed = keys("rotate");
    assert.deepEqual([changed.phase, changed.signer, changed.trustedKeys], ["changed", second, [second]]);
    assert.equal(publicKeyOf("signingKey"), second);
    assert.equal("derpkit:nextSigningKey" in stackFile().config, false);
    assert.deepEqual(bundle([second]).trustedKeys, [second]);
  });

  test("with a wrong passphrase, none, and without a stack, the CLI's words are shown and nothing changes", () => {
    const text = readFileSync(file(), "utf8");
    const wrong = run("keys", "rotate", "--stack", name, { PULUMI_CONFIG_PASSPHRASE: "wrong" });
    assert.match(wrong.text, /incorrect passphrase \[pulumi-failed\]\n.*PULUMI_CONFIG_PASSPHRASE/);
    const none = run("keys", "rotate", "--stack", name, { PULUMI_CONFIG_PASSPHRASE: undefined });
    assert.match(none.text, /passphrase must be set.*\[pulumi-failed\]/);
    writeFileSync(path.join(project.project, "Pulumi.ghost.yaml"), text);
    const ghost = run("keys", "rotate", "--stack", "ghost");
    assert.match(ghost.text, /no stack named 'ghost' found \[pulumi-failed\]\n.*pulumi stack init ghost/);
    assert.deepEqual([wrong.status, none.status, ghost.status], [2, 2, 2]);
    assert.equal(readFileSync(file(), "utf8"), text);
  });

  test("all along no key was in clear, in the file or in what was printed, and comments stayed", () => {
    const text = readFileSync(file(), "utf8");
    assert.equal(secrets.size, 2);
    for (const secret of secrets) {
      for (const place of [text, printed]) assert.equal(place.includes(secret.slice(16)), false);
    }
    for (const remark of ["# yaml-language-server", "# yours", "# Or verifyClientUrl"])
      assert.ok(text.includes(remark), remark);
  });
});

interface KeysDocument {
  readonly phase: string;
  readonly signer: string;
  readonly trustedKeys: readonly string[];
}

/** Runs `npm run keys`, which has to succeed. */
function keys(action: string): KeysDocument {
  const { status, text, stdout } = run("keys", action, "--stack", name, "--json");
  assert.equal(status, 0, text);
  return JSON.parse(stdout);
}

/** Bundles the stack's region. @returns its manifest, which one of the keys has to have signed */
function bundle(trusted: readonly string[]) {
  const { status, text } = run("bundle", "--stack", name);
  assert.equal(status, 0, text);
  const read = (part: string): Buffer => readFileSync(path.join(project.project, "dist/bundles/fsn", part));
  const signed = { manifest: read(manifestFile), signature: read(signatureFile) };
  return openManifest(signed, trusted.map(decodePublicKey));
}

function run(command: string, ...args: (string | NodeJS.ProcessEnv)[]) {
  const words = args.filter((each) => typeof each === "string");
  const more = args.find((each) => typeof each === "object") ?? {};
  const launcher = path.join(project.project, "scripts/run.mjs");
  const { status, stdout, stderr } = project.run(process.execPath, [launcher, command, ...words], more);
  printed += stdout + stderr;
  return { status, stdout, text: stdout + stderr };
}

/** Asks the CLI for a secret. */
function publicKeyOf(secret: string): string {
  const text = project.pulumi("config", "get", `derpkit:${secret}`, "--stack", name);
  secrets.add(text.trim());
  return encodePublicKey(parseSigningKey(text));
}

function file(): string {
  return path.join(project.project, `Pulumi.${name}.yaml`);
}

function stackFile(): { readonly config: Readonly<Record<string, object>> } {
  return parse(readFileSync(file(), "utf8"));
}
