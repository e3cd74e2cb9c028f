/** The arrows between the folders, and what the pure ones may not touch. A ban says why it is there. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import test from "node:test";

const root = path.join(import.meta.dirname, "..");

interface Import {
  readonly file: string;
  /** What is imported: a file of ours from the root, `node:net`, or a package. */
  readonly target: string;
  /** The names, as written: `{ isIP }`, `* as v`; empty for a bare or a dynamic import. */
  readonly names: string;
}

/** Each row: what a folder or file may import of ours. The longest match counts. */
const arrows: readonly { from: string; to: readonly string[]; why: string }[] = [
  {
    from: "relay/protocol/",
    to: ["relay/protocol/", "relay/crypto/", "relay/ip-address.ts"],
    why: "the wire format stands on its own: a relay, a client and a test read it the same way",
  },
  {
    from: "relay/crypto/",
    to: ["relay/crypto/", "relay/ip-address.ts", "relay/errors.ts"],
    why: "keys and certificates are bytes in, bytes out",
  },
  {
    from: "relay/core/",
    to: ["relay/core/", "relay/protocol/", "relay/crypto/"],
    why: "the core is given bytes and time and gives effects; it knows no sockets, configuration or files",
  },
  {
    from: "relay/net/",
    to: [
      "relay/net/",
      "relay/core/",
      "relay/protocol/",
      "relay/crypto/",
      "relay/config/",
      "relay/certificates/source.ts",
      "relay/ip-address.ts",
      "relay/errors.ts",
    ],
    why: "sockets point at the core; what else runs in the process is composed in relay/relay.ts",
  },
  {
    from: "relay/stun/",
    to: ["relay/stun/", "relay/ip-address.ts", "relay/errors.ts"],
    why: "STUN is a service of its own beside DERP",
  },
  {
    from: "relay/bootstrap-dns/",
    to: ["relay/bootstrap-dns/", "relay/config/schema.ts", "relay/ip-address.ts"],
    why: "bootstrap DNS is a service of its own beside DERP: names in, an answer out",
  },
  {
    from: "relay/telemetry/",
    to: [
      "relay/telemetry/",
      "relay/core/",
      "relay/stun/",
      "relay/bootstrap-dns/bootstrap-dns.ts",
      "relay/certificates/report.ts",
      "relay/status/updater-status.ts",
    ],
    why: "telemetry reads what the parts count; no part knows of it",
  },
  {
    from: "relay/client/",
    to: [
      "relay/client/",
      "relay/protocol/",
      "relay/crypto/",
      "relay/stun/message.ts",
      "relay/ip-address.ts",
      "relay/errors.ts",
    ],
    why: "the client proves the relay, so it shares the wire formats with it and nothing of its behaviour",
  },
  {
    from: "relay/admission/",
    to: [
      "relay/admission/",
      "relay/outbound/",
      "relay/config/schema.ts",
      "relay/core/session-context.ts",
      "relay/core/token-bucket.ts",
      "relay/protocol/go-json.ts",
      "relay/crypto/",
      "relay/ip-address.ts",
      "relay/errors.ts",
    ],
    why: "who may connect is asked of others; the core only hears the answer",
  },
  {
    from: "relay/acme/",
    to: ["relay/acme/", "relay/outbound/", "relay/crypto/", "relay/ip-address.ts", "relay/errors.ts"],
    why: "a protocol and its client: what a certificate is for, and when it is renewed, is decided elsewhere",
  },
  {
    from: "relay/certificates/",
    to: [
      "relay/certificates/",
      "relay/acme/",
      "relay/client/",
      "relay/outbound/",
      "relay/config/",
      "relay/crypto/",
      "relay/ip-address.ts",
      "relay/errors.ts",
    ],
    why: "certificates live without a listener; net asks for them through source.ts",
  },
  {
    from: "relay/outbound/",
    to: ["relay/outbound/", "relay/errors.ts"],
    why: "HTTP requests are the same whoever sends them",
  },
  {
    from: "relay/mesh/",
    to: [
      "relay/mesh/",
      "relay/core/",
      "relay/client/",
      "relay/protocol/",
      "relay/crypto/",
      "relay/net/stream-transport.ts",
    ],
    why: "to the region's other relays this one is a client whose frames go to the core",
  },
  {
    from: "relay/health/",
    to: [
      "relay/health/",
      "relay/client/",
      "relay/core/session-context.ts",
      "relay/crypto/",
      "relay/ip-address.ts",
    ],
    why: "to itself the relay is a client; that its probes are its own is an answer to who asks, net and STUN among them",
  },
  {
    from: "relay/config/",
    to: [
      "relay/config/",
      "relay/core/byte-bucket.ts",
      "relay/protocol/info.ts",
      "relay/protocol/frame.ts",
      "relay/crypto/",
      "relay/ip-address.ts",
      "relay/errors.ts",
    ],
    why: "infra and the docs read the schema without loading a relay",
  },
  {
    from: "relay/agent/",
    to: [
      "relay/agent/",
      "relay/updater/",
      "relay/client/",
      "relay/outbound/",
      "relay/config/",
      "relay/crypto/",
      "relay/status/updater-status.ts",
      "relay/errors.ts",
      "relay/version.ts",
    ],
    why: "on a machine the updater asks the relay as a client does, and shares nothing of its behaviour with it",
  },
  {
    from: "relay/systemd/",
    to: ["relay/systemd/", "relay/errors.ts"],
    why: "what systemd passes and is told is the process's affair; the relay itself runs the same without it",
  },
  {
    from: "relay/status/",
    to: ["relay/status/", "relay/certificates/report.ts"],
    why: "what is shown of the relay is given to it by those who know",
  },
  {
    from: "relay/status/updater-status.ts",
    to: [],
    why: "the updater writes what the relay reads, and neither needs the other for it",
  },
  {
    from: "relay/updater/",
    to: ["relay/updater/", "relay/status/updater-status.ts", "relay/errors.ts"],
    why: "the updater has to work when the relay that it replaces does not",
  },
  {
    from: "relay/",
    to: ["relay/"],
    why: "the relay knows nothing of the program that describes it or of the commands that start it",
  },
  {
    from: "infra/dns/records.ts",
    to: ["infra/dns/", "infra/config/", "relay/acme/caa.ts"],
    why: "who may issue a certificate is said in DNS as the relay's ACME client has it",
  },
  {
    from: "infra/derpmap/",
    to: ["infra/derpmap/", "relay/config/public-addresses.ts", "relay/errors.ts", "relay/ip-address.ts"],
    why: "the map is arithmetic and text; commands use it without Pulumi",
  },
  {
    from: "infra/bootstrap/",
    to: [
      "infra/bootstrap/",
      "infra/clouds/cloud.ts",
      "relay/agent/places.ts",
      "relay/config/",
      "relay/updater/manifest.ts",
      "relay/updater/public-key.ts",
      "relay/errors.ts",
    ],
    why: "what a machine boots with is text made from a node's description",
  },
  {
    from: "infra/delivery/",
    to: [
      "infra/delivery/",
      "infra/bootstrap/",
      "infra/clouds/",
      "infra/config/",
      "relay/agent/http-source.ts",
      "relay/agent/places.ts",
      "relay/config/",
      "relay/crypto/",
      "relay/errors.ts",
      "relay/outbound/",
      "relay/updater/",
      "relay/version.ts",
    ],
    why: "what is delivered is the relay and what a machine needs around it, in the form that its updater reads",
  },
  {
    from: "infra/clouds/local.ts",
    to: ["infra/", "relay/errors.ts", "relay/config/", "relay/updater/manifest.ts", "relay/crypto/"],
    why: "only here this machine plays the VM and makes the node's certificate itself (docs/decisions/0004)",
  },
  {
    from: "infra/",
    to: [
      "infra/",
      "relay/errors.ts",
      "relay/config/",
      "relay/updater/manifest.ts",
      "relay/updater/public-key.ts",
      "relay/agent/places.ts",
    ],
    why: "infra takes the relay's schema and its machine's places, so that it cannot render an option that the relay lacks, and nothing else",
  },
  {
    from: "scripts/",
    to: ["scripts/", "infra/", "relay/"],
    why: "nothing imports from outside these folders",
  },
];

/** Packages that each part may load. */
const packages: Readonly<Record<string, { names: readonly string[]; why: string }>> = {
  relay: {
    names: ["@noble/ciphers", "aws4fetch", "valibot", "ws"],
    why: "each one runs on every node and sees every byte (docs/dependencies.md)",
  },
  infra: {
    names: [
      "@pulumi/aws",
      "@pulumi/cloudflare",
      "@pulumi/command",
      "@pulumi/hcloud",
      "@pulumi/pulumi",
      "esbuild",
      "valibot",
    ],
    why: "they are what a user's own program has to install",
  },
  scripts: {
    names: ["@pulumi/pulumi", "@valibot/to-json-schema", "valibot", "yaml"],
    why: "a dependency comes with its reason (docs/dependencies.md)",
  },
};

const pureFolders = [
  "relay/protocol/",
  "relay/core/",
  "relay/crypto/",
  "relay/telemetry/",
  "relay/acme/advice.ts",
  "relay/acme/caa.ts",
  "relay/acme/certificate-id.ts",
  "relay/acme/chain.ts",
  "relay/acme/challenge.ts",
  "relay/acme/failure.ts",
  "relay/acme/identifier.ts",
  "relay/acme/jws.ts",
  "relay/acme/messages.ts",
  "relay/acme/problem.ts",
  "relay/acme/retry.ts",
  "relay/acme/retry-after.ts",
  "relay/acme/task.ts",
  "relay/bootstrap-dns/bootstrap-dns.ts",
  "relay/bootstrap-dns/hosts-file.ts",
  "relay/bootstrap-dns/names.ts",
  "relay/bootstrap-dns/resolve-names.ts",
  "relay/bootstrap-dns/rollout.ts",
  "relay/certificates/pinned-memory.ts",
  "relay/net/client-hello.ts",
  "relay/health/probe-state.ts",
  "relay/health/health-state.ts",
  "relay/certificates/acme-plan.ts",
  "relay/certificates/report.ts",
  "relay/certificates/budget.ts",
  "relay/certificates/decision.ts",
  "relay/certificates/failure-kinds.ts",
  "relay/certificates/ladder.ts",
  "relay/certificates/renewal.ts",
  "relay/certificates/state.ts",
  "relay/certificates/steps.ts",
  "relay/status/relay-status.ts",
  "relay/status/updater-status.ts",
  "relay/systemd/activation.ts",
  "relay/agent/sealed-secrets.ts",
  "relay/updater/secrets-document.ts",
  "infra/delivery/sealed-secrets.ts",
  "relay/updater/public-key.ts",
  "relay/updater/trusted-keys.ts",
  "infra/derpmap/",
  "infra/bootstrap/",
  "scripts/bench/cases.ts",
  "scripts/bench/cpus.ts",
  "scripts/bench/derpbench.ts",
  "scripts/bench/figures.ts",
  "scripts/bench/plan.ts",
  "scripts/bench/record.ts",
  "scripts/bench/statistics.ts",
  "scripts/bench/table.ts",
  "scripts/preview/",
  "scripts/report/",
  "scripts/policy/annotations.ts",
  "scripts/policy/derp-part.ts",
  "scripts/policy/diff.ts",
  "scripts/policy/jwcc/",
  "scripts/policy/map-file.ts",
  "scripts/policy/merge.ts",
];

/** Node's modules that compute and do nothing else, or what of them does. */
const pureModules: Readonly<Record<string, RegExp>> = {
  "node:crypto": /^/,
  "node:zlib": /^\{ crc32 \}$/,
  "node:net": /^\{ (?:isIP|isIPv4|isIPv6)(?:, (?:isIP|isIPv4|isIPv6))* \}$/,
};

const pureBans: readonly { what: RegExp; why: string; except?: Readonly<Record<string, string>> }[] = [
  {
    what: /\bprocess\b(?=[.[])/,
    why: "the process is an argument: environment, signals and exit belong to relay/main.ts",
  },
  {
    what: /\bDate\.now\(|\bnew Date\(\)|\bperformance\./,
    why: "time is an argument, so that a test sets the clock",
  },
  {
    what: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(/,
    why: "a deadline is returned to the rim, which owns the timers",
  },
  {
    what: /\bMath\.random\(|\b(?:randomBytes|randomInt|randomUUID|randomFillSync|generateKeyPair|generateKeyPairSync)\(/,
    why: "randomness is an argument, so that a test can check bytes",
    except: {
      "relay/crypto/self-signed.ts": "draws key and serial number unless they are passed",
      "relay/acme/challenge.ts": "draws key and serial number unless they are passed",
      "relay/crypto/keys.ts": "generatePrivateKey is where a seed comes from",
    },
  },
  {
    what: /\b(?:fetch|WebSocket|require)\(|\bconsole\./,
    why: "no input or output but arguments and results",
  },
];

const sources = globSync("{relay,infra,scripts}/**/*.ts", { cwd: root })
  .map((file) => file.replaceAll(path.sep, "/"))
  .sort();
const production = sources.filter((file) => !isTest(file));
const imports = sources.flatMap((file) => readImports(file, readSource(file)));

function isTest(file: string): boolean {
  return /\.(?:test|bench)\.ts$/.test(file) || file.includes("/testing/");
}

function readSource(file: string): string {
  return readFileSync(path.join(root, file), "utf8");
}

function readImports(file: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)(?: type)? ([^;"]*?) ?from "([^"]+)";/gm);
  const bare = text.matchAll(/^import()\s+"([^"]+)";|\bimport\(\s*"([^"]+)"\s*\)/gm);
  return [...statements, ...bare].map(([, names = "", from, dynamic]) => ({
    file,
    names: names.replaceAll(/\s+/g, " ").replaceAll("type ", ""),
    target: resolveTarget(file, from ?? dynamic ?? ""),
  }));
}

function resolveTarget(file: string, specifier: string): string {
  return specifier.startsWith(".") ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}

function isOurs({ target }: Import): boolean {
  return sources.includes(target) || /^(?:relay|infra|scripts)\//.test(target);
}

function arrowOf(file: string): (typeof arrows)[number] {
  const [longest] = arrows
    .filter(({ from }) => file.startsWith(from))
    .sort((one, other) => other.from.length - one.from.length);
  assert.ok(longest, `no arrow covers ${file}`);
  return longest;
}

/** Comments may name what code may not. */
function code(file: string): string {
  return readSource(file).replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, "");
}

function assertNone(breaches: readonly string[]): void {
  assert.equal(breaches.length, 0, `\n${breaches.join("\n")}`);
}

test("every way of writing an import is seen", () => {
  const text = [
    'import { a, type B } from "./one.ts";',
    'import type {\n  C,\n} from "../net/two.ts";',
    'import * as d from "valibot";',
    'export { e } from "node:tls";',
    'import "./three.ts";',
    'const f = await import("esbuild");',
  ].join("\n");
  assert.deepEqual(
    readImports("relay/core/x.ts", text).map(({ names, target }) => [target, names]),
    [
      ["relay/core/one.ts", "{ a, B }"],
      ["relay/net/two.ts", "{ C, }"],
      ["valibot", "* as d"],
      ["node:tls", "{ e }"],
      ["relay/core/three.ts", ""],
      ["esbuild", ""],
    ],
  );
});

test("imports point along the arrows", () => {
  const breaches = imports
    .filter((entry) => !isTest(entry.file) && isOurs(entry))
    .filter(({ file, target }) => !arrowOf(file).to.some((allowed) => target.startsWith(allowed)))
    .map(({ file, target }) => `${file} imports ${target}: ${arrowOf(file).why}`);
  assertNone(breaches);
});

test("the relay's tests, too, know nothing of infra and scripts", () => {
  const breaches = imports
    .filter(({ file, target }) => file.startsWith("relay/") && /^(?:infra|scripts)\//.test(target))
    .map(({ file, target }) => `${file} imports ${target}: the relay is tested without what starts it`);
  assertNone(breaches);
});

test("nothing that is shipped imports a test or its helpers", () => {
  const breaches = imports
    .filter(({ file, target }) => !isTest(file) && isTest(target))
    .map(({ file, target }) => `${file} imports ${target}: the published package has no tests`);
  assertNone(breaches);
});

test("each part loads only the packages that it has a reason for", () => {
  const breaches = imports
    .filter((entry) => !isTest(entry.file) && !isOurs(entry) && !isBuiltin(entry.target))
    .flatMap(({ file, target }) => {
      const part = packages[file.split("/")[0] ?? ""];
      const name = target.split("/", target.startsWith("@") ? 2 : 1).join("/");
      return part?.names.includes(name) ? [] : [`${file} imports ${target}: ${part?.why}`];
    });
  assertNone(breaches);
});

test("pure folders import nothing that does input, output, time or processes", () => {
  const breaches = imports
    .filter(({ file, target }) => isPure(file) && isBuiltin(target) && !isPureModule(file, target))
    .map(
      ({ file, target, names }) =>
        `${file} imports ${names} from ${target}: pure code gets its effects as arguments`,
    );
  assertNone(breaches);

  function isPureModule(file: string, target: string): boolean {
    const names = imports
      .filter((entry) => entry.file === file && entry.target === target)
      .map((entry) => entry.names);
    return names.every((name) => pureModules[target]?.test(name));
  }
});

test("pure folders use no clock, timer, randomness, process or console", () => {
  const breaches = production
    .filter(isPure)
    .flatMap((file) =>
      pureBans
        .filter(({ what, except }) => what.test(code(file)) && except?.[file] === undefined)
        .map(({ what, why }) => `${file} uses ${what.exec(code(file))?.[0]}: ${why}`),
    );
  assertNone(breaches);
});

function isPure(file: string): boolean {
  return !isTest(file) && pureFolders.some((folder) => file.startsWith(folder));
}
