/** The life of a key with a CLI of the test's own, which keeps secrets in the stack file as Pulumi's does. */
import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { parse, parseDocument } from "yaml";
import { makeSigningKey, parseSigningKey } from "../../infra/delivery/signing-key.ts";
import { KitError, renderError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { encodePublicKey } from "../../relay/updater/public-key.ts";
import type { SecretConfig } from "../cli/pulumi-cli.ts";
import { resolveStack } from "../cli/stack-file.ts";
import { openKeyStore } from "./key-store.ts";
import { initKeys, rotateKeys } from "./life.ts";

class Interrupted extends Error {}

const placeholder = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
const example = `# A fleet of ours.
config:
  derpkit:domain: derp.example.com # yours
  derpkit:trustedKeys:
    # The keys.
    - ${placeholder} # yours
  derpkit:regions: [] # none yet
`;

/** A stack, its file in a folder of its own and its secrets in this object. */
class FakeStack {
  readonly file: string;
  readonly #root: string;
  readonly #values = new Map<string, string>();
  /** How many changes may still be made; the one after them is interrupted, before it is made. */
  left = Infinity;

  constructor(root: string) {
    this.#root = root;
    this.file = path.join(root, "Pulumi.prod.yaml");
  }

  async store(signal = new AbortController().signal) {
    const stackFile = await resolveStack("prod", this.#root);
    const store = openKeyStore(stackFile, this.#secrets, signal);
    const counted =
      <Args extends unknown[]>(step: (...args: Args) => Promise<void>) =>
      async (...args: Args): Promise<void> => {
        if (this.left-- <= 0) throw new Interrupted();
        await step(...args);
      };
    return {
      ...store,
      write: counted((...args: Parameters<typeof store.write>) => store.write(...args)),
      remove: counted((...args: Parameters<typeof store.remove>) => store.remove(...args)),
      writeTrusted: counted((...args: Parameters<typeof store.writeTrusted>) => store.writeTrusted(...args)),
    };
  }

  readonly #secrets: SecretConfig = {
    read: async (name) => this.#values.get(name) ?? assert.fail(`there is no ${name}`),
    write: async (name, value) => {
      this.#values.set(name, value);
      await this.#edit((document) => document.setIn(["config", `derpkit:${name}`], { secure: "v1:cipher" }));
    },
    remove: async (name) => {
      this.#values.delete(name);
      await this.#edit((document) => document.deleteIn(["config", `derpkit:${name}`]));
    },
  };

  async #edit(change: (document: ReturnType<typeof parseDocument>) => void): Promise<void> {
    const document = parseDocument(await readFile(this.file, "utf8"));
    change(document);
    await writeFile(this.file, document.toString());
  }

  text(): Promise<string> {
    return readFile(this.file, "utf8");
  }

  /** Who signs, who will, and who is trusted; keys by their public halves. */
  async state() {
    const publicOf = (name: string): string | undefined => {
      const value = this.#values.get(name);
      return value === undefined ? undefined : encodePublicKey(parseSigningKey(value));
    };
    const { config }: { config: Record<string, string[]> } = parse(await this.text());
    return {
      signer: publicOf("signingKey"),
      next: publicOf("nextSigningKey"),
      trusted: config["derpkit:trustedKeys"],
    };
  }
}

async function openStack(t: TestContext, text = example): Promise<FakeStack> {
  const root = temporaryFolder(t);
  await writeFile(path.join(root, "Pulumi.yaml"), "name: derpkit\n");
  const stack = new FakeStack(root);
  await writeFile(stack.file, text);
  return stack;
}

async function init(stack: FakeStack, local?: KeyObject) {
  return initKeys(await stack.store(), local);
}

async function rotate(stack: FakeStack) {
  return rotateKeys(await stack.store());
}

test("init makes a key that is the one trusted, says what it replaced, and comments stay", async (t) => {
  const stack = await openStack(t);
  const outcome = await init(stack);
  const { signer, next, trusted } = await stack.state();
  assert.deepEqual([trusted, next], [[signer], undefined]);
  assert.deepEqual(outcome, {
    phase: "made",
    signer,
    trustedKeys: [signer],
    dropped: [placeholder],
  });
  const text = await stack.text();
  for (const comment of ["# A fleet of ours.", "# The keys.", "# none yet"])
    assert.ok(text.includes(comment));
});

test("a second init is refused and changes nothing", async (t) => {
  const stack = await openStack(t);
  await init(stack);
  const before = await stack.text();
  await assert.rejects(init(stack), (error) => {
    assert.ok(error instanceof KitError && error.code === "signing-key-exists" && error.exit === 1);
    return true;
  });
  assert.equal(await stack.text(), before);
});

test("init takes the key of a file that machines trust already, and no other file's", async (t) => {
  const [local, other] = [makeSigningKey(), makeSigningKey()];
  const mine = encodePublicKey(local);
  const trusting = example.replace(placeholder, mine);
  const adopting = await openStack(t, trusting);
  assert.deepEqual((await init(adopting, local)).dropped, []);
  assert.deepEqual(await adopting.state(), { signer: mine, next: undefined, trusted: [mine] });
  const stranger = await openStack(t, trusting);
  assert.deepEqual((await init(stranger, other)).dropped, [mine]);
  assert.notEqual((await stranger.state()).signer, encodePublicKey(other));
});

test("a rotation goes from one key to both and to the other", async (t) => {
  const stack = await openStack(t);
  await init(stack);
  const { signer: a } = await stack.state();
  assert.equal((await rotate(stack)).phase, "announced");
  const { next: b, ...both } = await stack.state();
  assert.notEqual(b, a);
  assert.deepEqual(both, { signer: a, trusted: [a, b] });
  const { phase, dropped } = await rotate(stack);
  assert.deepEqual([phase, dropped], ["changed", [a]]);
  assert.deepEqual(await stack.state(), { signer: b, next: undefined, trusted: [b] });
  assert.equal((await rotate(stack)).phase, "announced");
});

test("a command that is interrupted between any two steps comes to the same end when it is run again", async (t) => {
  for (const rotations of [0, 1, 2]) {
    for (let steps = 0; ; steps++) {
      const stack = await openStack(t);
      const command = rotations === 0 ? init : rotate;
      if (rotations > 0) await init(stack);
      if (rotations > 1) await rotate(stack);
      const before = await stack.state();
      stack.left = steps;
      const interrupted = await command(stack).then(
        () => false,
        (error: unknown) => error instanceof Interrupted || assert.fail(String(error)),
      );
      if (!interrupted) {
        assert.ok(steps > 1, "there are steps to be interrupted between");
        break;
      }
      const between = await stack.state();
      if (rotations > 0) assert.ok(between.trusted?.includes(between.signer ?? ""), "what signs is trusted");
      stack.left = Infinity;
      await command(stack);
      const { signer, next, trusted } = await stack.state();
      if (rotations === 1) assert.deepEqual([signer, trusted], [before.signer, [before.signer, next]]);
      else assert.deepEqual([trusted, next], [[signer], undefined]);
      if (rotations === 2) assert.equal(signer, before.next);
      if (between.next !== undefined && rotations === 1) assert.equal(next, between.next);
    }
  }
});

test("once asked to stop, no further step is made", async (t) => {
  const stack = await openStack(t);
  const before = await stack.text();
  await assert.rejects(
    initKeys(await stack.store(AbortSignal.abort("SIGINT")), undefined),
    (reason) => reason === "SIGINT",
  );
  assert.equal(await stack.text(), before);
});

test("a rotation needs a key, and one that machines trust", async (t) => {
  const empty = await openStack(t);
  await assert.rejects(rotate(empty), { name: "KitError", code: "signing-key-missing" });
  const untrusted = await openStack(t);
  await init(untrusted);
  const { signer = "" } = await untrusted.state();
  await writeFile(untrusted.file, (await untrusted.text()).replace(signer, placeholder));
  await assert.rejects(rotate(untrusted), { name: "KitError", code: "signing-key-untrusted" });
  await init(untrusted);
  assert.deepEqual((await untrusted.state()).trusted, [signer]);
});

test("what is left of a rotation whose key is gone is no part of a new beginning", async (t) => {
  const stack = await openStack(t);
  await init(stack);
  await rotate(stack);
  const store = await stack.store();
  await store.remove("signingKey");
  await assert.rejects(rotate(stack), { code: "signing-key-missing" });
  await init(stack);
  const { signer, next, trusted } = await stack.state();
  assert.deepEqual([next, trusted], [undefined, [signer]]);
});

test("a key in clear is refused with its path, and not shown", async (t) => {
  const stack = await openStack(t, `${example}  derpkit:signingKey: hunter2\n`);
  for (const command of [init, rotate]) {
    await assert.rejects(command(stack), (error) => {
      assert.ok(error instanceof KitError && error.code === "config-invalid");
      assert.match(renderError(error), /derpkit:signingKey: is in clear/);
      assert.doesNotMatch(renderError(error), /hunter2/);
      return true;
    });
  }
});
