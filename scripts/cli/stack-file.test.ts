import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { type ErrorCode, KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { resolveStack } from "./stack-file.ts";

/** A project's folder with these files in it. */
async function startProject(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await realpath(temporaryFolder(t));
  await mkdir(join(root, "below", "deeper"), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  return root;
}

async function failure(code: ErrorCode, promise: Promise<unknown>): Promise<KitError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KitError, `no KitError: ${String(error)}`);
  assert.equal(error.code, code);
  return error;
}

test("a name is looked for in the project above, and local is the default", async (t) => {
  const root = await startProject(t, {
    "Pulumi.yaml": "",
    "Pulumi.local.yaml": "",
    "Pulumi.prod-1.yaml": "",
  });
  const below = join(root, "below", "deeper");
  const local = await resolveStack(undefined, below);
  assert.deepEqual([local.stack, local.file, local.root], ["local", join(root, "Pulumi.local.yaml"), root]);
  assert.equal((await resolveStack("prod-1", below)).stack, "prod-1");
  const missing = await failure("stack-not-found", resolveStack("nope", below));
  assert.equal(missing.where, join(root, "Pulumi.nope.yaml"));
});

test("a path is relative to where one is; a file elsewhere than in the root has its folder in the stack's name", async (t) => {
  const root = await startProject(t, {
    "Pulumi.yaml": "",
    "Pulumi.dev.yaml": "",
    "below/Pulumi.dev.yaml": "",
    "below/x.yml": "",
  });
  const below = join(root, "below");
  const suffix = createHash("sha256").update(below).digest("hex").slice(0, 8);
  assert.equal((await resolveStack("../Pulumi.dev.yaml", below)).stack, "dev");
  assert.equal((await resolveStack("below/Pulumi.dev.yaml", root)).stack, `dev-${suffix}`);
  assert.equal((await resolveStack("x.yml", below)).stack, `x-${suffix}`);
  assert.equal((await resolveStack(join(below, "x.yml"), root)).root, root);
});

test("a name that could leave the folder of kept files is refused", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "", "below/..yaml": "", "below/a b.yaml": "" });
  for (const name of ["..", "", "a b", "-x", "below/..yaml", "below/a b.yaml", "x\0.yaml"]) {
    await failure("stack-not-found", resolveStack(name, root));
  }
});

test("values are handed over as Pulumi's engine does", async (t) => {
  const root = await startProject(t, {
    "Pulumi.yaml": "",
    "Pulumi.local.yaml": [
      "encryptionsalt: v1:abc",
      "config:",
      "  derpkit:domain: derp.example.com",
      "  regions: &r",
      "    - {id: 901, name: yes, cloud: ~}",
      "  derpkit:again: *r",
      "  derpkit:merged: {<<: {a: 1}, b: 2}",
      "  derpkit:number: 5.0",
      "  derpkit:flag: true",
      "  derpkit:nothing: ~",
      "  aws:token: {secure: v1:ciphertext}",
    ].join("\n"),
  });
  const { config, secretKeys } = await resolveStack("local", root);
  assert.deepEqual(Object.fromEntries(config), {
    "derpkit:domain": "derp.example.com",
    "derpkit:regions": '[{"id":901,"name":"yes","cloud":null}]',
    "derpkit:again": '[{"id":901,"name":"yes","cloud":null}]',
    "derpkit:merged": '{"a":1,"b":2}',
    "derpkit:number": "5",
    "derpkit:flag": "true",
    "derpkit:nothing": "",
    "aws:token": "[secret]",
  });
  assert.deepEqual([...secretKeys], ["aws:token"]);
});

test("a file without configuration is an empty one", async (t) => {
  for (const text of ["", "# nothing", "config:", "config: {}", "encryptionsalt: x"]) {
    const root = await startProject(t, { "Pulumi.yaml": "", "Pulumi.local.yaml": text });
    assert.equal((await resolveStack("local", root)).config.size, 0);
  }
});

test("a file that is not YAML is refused with the place and the reason", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "" });
  const cases = [
    [
      "config:\n  derpkit:domain: a.b\n  derpkit:domain: c.d\n",
      "Pulumi.local.yaml:3:3: Map keys must be unique",
    ],
    ["config:\n\tderpkit:domain: a\n", "Pulumi.local.yaml:2:1: Tabs are not allowed as indentation"],
    [
      "config: {}\n---\nconfig: {}\n",
      "Pulumi.local.yaml:2:1: A stack file is one document; remove the line ---",
    ],
    [
      "config: *nowhere\n",
      "Pulumi.local.yaml: Unresolved alias (the anchor must be set before the alias): nowhere",
    ],
  ] as const;
  for (const [text, problem] of cases) {
    await writeFile(join(root, "Pulumi.local.yaml"), text);
    const error = await failure("config-invalid", resolveStack("local", root));
    const [first] = error.problems;
    assert.equal(`${first?.path}: ${first?.message}`, problem);
  }
});

test("nesting beyond measure is said to be that", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "", "Pulumi.local.yaml": "[".repeat(50_000) });
  const { problems } = await failure("config-invalid", resolveStack("local", root));
  assert.match(problems[0]?.message ?? "", /^Lists and mappings are nested too deeply$/);
});

test("a key that is given with its namespace and without is refused", async (t) => {
  const root = await startProject(t, {
    "Pulumi.yaml": "",
    "Pulumi.local.yaml": "config:\n  derpkit:domain: a.b\n  domain: c.d\n",
  });
  const error = await failure("config-invalid", resolveStack("local", root));
  assert.deepEqual(
    error.problems.map(({ path }) => path),
    ["derpkit:domain"],
  );
});

test("what is no mapping, has no end or grows beyond measure is refused", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "" });
  const bomb = [
    "a: &a0 [x]",
    ...Array.from({ length: 9 }, (_, n) => `b${n}: &a${n + 1} [${`*a${n},`.repeat(9)}]`),
  ];
  const texts = [
    "- a",
    "x",
    "config: 3",
    "config: [a]",
    "config: &c\n  x: *c",
    bomb.join("\n"),
    "[".repeat(50_000),
  ];
  for (const text of texts) {
    await writeFile(join(root, "Pulumi.local.yaml"), text);
    await failure("config-invalid", resolveStack("local", root));
  }
});

test("a folder in the place of the file is said to be unreadable", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "" });
  await mkdir(join(root, "Pulumi.local.yaml"));
  await failure("file-unreadable", resolveStack("local", root));
});

test("whatever a file holds, it is read or refused", async (t) => {
  const root = await startProject(t, { "Pulumi.yaml": "" });
  const token = fc.constantFrom(
    "config",
    ":",
    " ",
    "\n",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "&a",
    "*a",
    "~",
    "'",
    '"',
    "|",
    "<<",
    "!",
    "\t",
    "é",
    "\0",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 20 }), async (tokens) => {
      await writeFile(join(root, "Pulumi.local.yaml"), tokens.join(""));
      const { config } = await resolveStack("local", root).catch((error: unknown) => {
        assert.ok(error instanceof KitError, String(error));
        return { config: new Map<string, string>() };
      });
      for (const [key, value] of config) assert.ok(typeof key === "string" && typeof value === "string");
    }),
    { numRuns: 500 },
  );
});
