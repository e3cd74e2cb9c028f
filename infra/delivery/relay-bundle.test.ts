import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { KitError } from "../../relay/errors.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { packageVersion } from "../../relay/version.ts";
import { type BuiltRelayBundle, buildRelayBundle, readRelayBundle } from "./relay-bundle.ts";

const root = path.join(import.meta.dirname, "../..");
const bundle = await buildRelayBundle(root);

/** A copy of the relay's sources at another place, with the same dependencies. */
async function copySources(t: TestContext, ...inner: string[]): Promise<string> {
  const folder = path.join(temporaryFolder(t), ...inner);
  await cp(path.join(root, "relay"), path.join(folder, "relay"), { recursive: true });
  await symlink(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  return folder;
}

/** A project whose relay is one short file. */
async function tinyProject(t: TestContext, code: string): Promise<string> {
  const folder = await copySources(t, "project");
  await writeFile(path.join(folder, "relay", "tiny.ts"), code);
  return folder;
}

test("the same sources give the same bytes from two folders, with and without a repository around them", async (t) => {
  const near = await copySources(t);
  const far = await copySources(t, "a", "clone", "far away");
  await mkdir(path.join(far, ".git"));
  await writeFile(path.join(far, ".git", "HEAD"), "ref: refs/heads/main\n");
  for (const folder of [near, far]) {
    const other = await buildRelayBundle(folder);
    assert.equal(other.version, bundle.version);
    assert.equal(other.sha256, bundle.sha256);
    assert.deepEqual(other.code, bundle.code);
    assert.deepEqual(other.map, bundle.map);
  }
});

test("the licences of the packages in it are in it", () => {
  const code = bundle.code.toString();
  const [, notices = ""] = code.split("This file contains:");
  for (const name of ["@noble/ciphers", "valibot", "ws"]) {
    assert.match(
      notices,
      new RegExp(`\\n${name}\\n\\n[^]*(?:MIT License|Permission is hereby granted)`),
      name,
    );
  }
});

test("settings of the place where it is built leave no trace", async (t) => {
  const folder = await copySources(t);
  await writeFile(path.join(folder, "tsconfig.json"), '{ "compilerOptions": { "target": "es2015" } }');
  assert.equal((await buildRelayBundle(folder)).sha256, bundle.sha256);
});

test("a change of a source is a new version, a change beside the sources is not", async (t) => {
  const folder = await copySources(t);
  await writeFile(path.join(folder, "README.md"), "docs");
  await writeFile(path.join(folder, "relay", "another.test.ts"), "throw new Error();");
  assert.equal((await buildRelayBundle(folder)).version, bundle.version);
  await writeFile(path.join(folder, "relay", "extra.ts"), 'export const extra = "x";');
  await writeFile(path.join(folder, "relay", "entry.ts"), 'import "./main.ts";\nexport * from "./extra.ts";');
  const first = await buildRelayBundle(folder, "relay/entry.ts");
  await writeFile(path.join(folder, "relay", "extra.ts"), 'export const extra = "y";');
  const second = await buildRelayBundle(folder, "relay/entry.ts");
  assert.notEqual(first.version, second.version);
  assert.notEqual(first.sha256, second.sha256);
});

test("neither the code nor the map names this machine or a place on it", () => {
  for (const bytes of [bundle.code, bundle.map]) {
    for (const trace of [root, tmpdir(), hostname()]) assert.ok(!bytes.includes(trace), `names ${trace}`);
  }
});

test("the source map has every source, with its text, relative to dist", () => {
  const map: unknown = JSON.parse(bundle.map.toString());
  assert.ok(isSourceMap(map));
  const inputs = new Set(Object.keys(bundle.inputs).map((input) => `../${input}`));
  assert.ok(map.sources.length > 20);
  assert.deepEqual(
    map.sources.filter((source) => !inputs.has(source)),
    [],
  );
  assert.ok(map.sourcesContent.every((text) => text.length > 0));
  assert.ok(bundle.code.toString().endsWith("\n//# sourceMappingURL=relay.mjs.map\n"));
});

function isSourceMap(value: unknown): value is { sources: string[]; sourcesContent: string[] } {
  return typeof value === "object" && value !== null && "sources" in value && "sourcesContent" in value;
}

test("the file runs with nothing beside it and says its version, which is in its first line too", async (t) => {
  const folder = temporaryFolder(t);
  await writeFile(path.join(folder, "relay.mjs"), bundle.code);
  await writeFile(path.join(folder, "relay.mjs.map"), bundle.map);
  const { stdout } = await promisify(execFile)(process.execPath, [
    path.join(folder, "relay.mjs"),
    "--version",
  ]);
  assert.equal(stdout, `${bundle.version}\n`);
  const [release, digest = ""] = bundle.version.split("+");
  assert.equal(release, packageVersion);
  assert.match(digest, /^[0-9a-f]{12}$/);
  const { inputs: _, ...built } = bundle;
  assert.deepEqual(await readRelayBundle(folder), built);
});

test("a package without its bundle says so", async (t) => {
  const folder = temporaryFolder(t);
  await assert.rejects(readRelayBundle(folder), { name: "KitError", code: "file-unreadable" });
});

test("a mistake in the sources is shown with its place", async (t) => {
  const folder = await tinyProject(t, 'import { a } from "./nowhere.ts";\nexport const b = a;\n');
  await assert.rejects(buildRelayBundle(folder, "relay/tiny.ts"), (error) => {
    assert.ok(error instanceof KitError && error.code === "build-failed");
    assert.deepEqual(
      error.problems.map((problem) => problem.path),
      ["relay/tiny.ts:1:18"],
    );
    return true;
  });
});

test("a module from outside of the project is refused", async (t) => {
  const folder = await tinyProject(t, 'export * from "../../outside.ts";\n');
  await writeFile(path.join(folder, "../outside.ts"), "export const a = 1;\n");
  await assert.rejects(buildRelayBundle(folder, "relay/tiny.ts"), (error) => {
    assert.ok(error instanceof KitError && error.code === "build-failed");
    assert.deepEqual(
      error.problems.map((problem) => problem.path),
      ["../outside.ts"],
    );
    return true;
  });
});

// What may be in the bundle. boundaries.test.ts has the same for the sources; this is for what becomes of them, with
// what a dependency might bring.

const packages: Readonly<Record<string, string>> = {
  "@noble/ciphers": "NaCl box, the encryption of DERP's handshake",
  valibot: "the schema of the configuration",
  ws: "WebSocket, in which browsers speak DERP",
};

const bans: readonly { what: RegExp; why: string }[] = [
  { what: /^(?!relay\/|node_modules\/|node:)/, why: "the relay is made of its own folder" },
  {
    what: /^relay\/updater\//,
    why: "what replaces the relay is no part of it, and has no business on an open port",
  },
  { what: /\.test\.ts$|\/testing\//, why: "tests stay at home" },
  { what: /^node:(?:inspector|repl|vm|wasi)/, why: "code comes with the bundle, and from nowhere else" },
  {
    what: /^node:(?:cluster|worker_threads)$/,
    why: "one thread has all clients: a packet is handed over in memory",
  },
  { what: /^node:sqlite$/, why: "the relay keeps nothing but its key and certificate" },
];

test("the bundle holds the relay and the few packages that it has a reason for", () => {
  const found = contents(bundle).flatMap((name) => {
    const reasons = bans.filter(({ what }) => what.test(name)).map(({ why }) => why);
    const strange = name.startsWith("node_modules/") && packages[packageOf(name)] === undefined;
    return [
      ...reasons,
      ...(strange ? ["a package needs a reason here and in docs/dependencies.md"] : []),
    ].map((why) => `${name}: ${why}`);
  });
  assert.deepEqual(found, []);
});

test("the relay starts no program but the one that speaks to systemd: none is there for an intruder", () => {
  const starters = Object.entries(bundle.inputs).filter(([, { imports }]) =>
    imports.some((imported) => imported.path === "node:child_process"),
  );
  assert.deepEqual(
    starters.map(([name]) => name),
    ["relay/systemd/perl-sender.ts"],
  );
});

test("every package that the bundle may have is in it", () => {
  const used = new Set(contents(bundle).map(packageOf));
  assert.deepEqual(
    Object.keys(packages).filter((name) => !used.has(name)),
    [],
  );
});

/** The inputs, and the modules that are left to the runtime. */
function contents({ inputs }: BuiltRelayBundle): string[] {
  const external = Object.values(inputs)
    .flatMap((input) => input.imports)
    .filter((entry) => entry.external === true && entry.path !== "<runtime>")
    .map(({ path: name }) => (isBuiltin(name) && !name.startsWith("node:") ? `node:${name}` : name));
  return [...Object.keys(inputs), ...new Set(external)];
}

/** `node_modules/@a/b/c.js` gives `@a/b`. */
function packageOf(input: string): string {
  const [, scope = "", name = ""] = input.split("/");
  return scope.startsWith("@") ? `${scope}/${name}` : scope;
}
