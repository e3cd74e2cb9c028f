import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { buildManifest, encodeManifest } from "../../relay/updater/manifest.ts";
import { encodePublicKey, renderPublicPem } from "../../relay/updater/public-key.ts";
import { signManifest } from "../../relay/updater/signature.ts";
import { encodeState, type UpdaterState } from "../../relay/updater/state.ts";
import { keepKeys, readBootKeys } from "../../relay/updater/trusted-keys.ts";
import { type BootSettings, renderCloudInit, userDataLimits } from "./cloud-init.ts";

const makeKey = (): KeyObject => generateKeyPairSync("ed25519").privateKey;
const newKey = (): string => encodePublicKey(makeKey());

const settings: BootSettings = {
  stack: "prod",
  region: "fra",
  node: "901a",
  generation: 1,
  deliveryUrl: "https://downloads.example.com/derpkit/fra",
  volumeDevice: "/dev/disk/by-id/scsi-0HC_Volume_12345678",
  trustedKeys: [newKey(), newKey()],
  icmpEcho: true,
};

interface Written {
  readonly path: string;
  readonly permissions: string;
  readonly content: string;
}

function filesOf(text: string): ReadonlyMap<string, Written> {
  const { write_files: files }: { write_files: Written[] } = parse(text);
  return new Map(files.map((file) => [file.path, file]));
}

test("user data begins with the line by which cloud-init knows it", () => {
  assert.match(renderCloudInit(settings), /^#cloud-config\n/);
});

test("it is small: a tenth of a cloud's limit is left with the longest names", () => {
  const long = {
    ...settings,
    stack: "s".repeat(100),
    region: "r".repeat(20),
    node: "n".repeat(63),
    deliveryUrl: `https://${"d".repeat(250)}.example/${"p".repeat(250)}`,
    icmpEcho: false,
  };
  assert.ok(Buffer.byteLength(renderCloudInit(long)) < userDataLimits.aws * 0.9);
});

test("it writes the settings, the keys and the script, and starts it", () => {
  const text = renderCloudInit(settings);
  const files = filesOf(text);
  assert.deepEqual(
    [...files.values()].map((file) => `${file.permissions} ${file.path}`),
    [
      "0644 /etc/derpkit/stage0.env",
      "0644 /etc/derpkit/trusted-1.pem",
      "0644 /etc/derpkit/trusted-2.pem",
      "0644 /etc/derpkit/empty-volume",
      "0755 /usr/local/sbin/derpkit-stage0",
      "0644 /etc/systemd/system/derpkit-stage0.service",
      "0644 /etc/systemd/system/var-lib-derpkit.mount",
    ],
  );
  const pem = files.get("/etc/derpkit/trusted-1.pem")?.content ?? "";
  assert.equal(pem, `-----BEGIN PUBLIC KEY-----\n${settings.trustedKeys[0]}\n-----END PUBLIC KEY-----\n`);
  const { runcmd }: { runcmd: string[][] } = parse(text);
  assert.deepEqual(runcmd.at(-1), ["systemctl", "enable", "--now", "--no-block", "derpkit-stage0.service"]);
});

test("the script and the settings are what a shell takes, whatever is in an address", () => {
  const files = filesOf(renderCloudInit({ ...settings, deliveryUrl: "https://a.example/x?b=c&d=~e" }));
  const script = files.get("/usr/local/sbin/derpkit-stage0")?.content ?? "";
  assert.equal(spawnSync("sh", ["-n"], { input: script }).status, 0);
  const environment = files.get("/etc/derpkit/stage0.env")?.content ?? "";
  const { stdout } = spawnSync("sh", ["-c", `${environment}\nprintf %s "$DERPKIT_DELIVERY"`], {
    encoding: "utf8",
  });
  assert.equal(stdout, "https://a.example/x?b=c&d=~e");
});

test("what would be more than text to a shell is refused", () => {
  const hostile = fc.constantFrom("'", '"', "$(id)", "`id`", "\n", " ", ";", "\\", "\u0000", "é");
  fc.assert(
    fc.property(fc.string(), hostile, fc.string(), (before, bad, after) => {
      assert.throws(() => renderCloudInit({ ...settings, volumeDevice: before + bad + after }), RangeError);
    }),
  );
});

test("a machine that is not to answer ping says so in both families, and keeps path-MTU errors", () => {
  const files = filesOf(renderCloudInit({ ...settings, icmpEcho: false }));
  assert.equal(
    files.get("/etc/sysctl.d/60-derpkit-echo.conf")?.content,
    "net.ipv4.icmp_echo_ignore_all = 1\nnet.ipv6.icmp.echo_ignore_all = 1\n",
  );
});

test("two generations differ, and nothing else makes a difference by itself", () => {
  assert.notEqual(renderCloudInit({ ...settings, generation: 2 }), renderCloudInit(settings));
  assert.equal(renderCloudInit({ ...settings }), renderCloudInit(settings));
});

test("the script finds stage 1's digest, and the sequence, in a manifest", (t) => {
  const script = filesOf(renderCloudInit(settings)).get("/usr/local/sbin/derpkit-stage0")?.content ?? "";
  const folder = temporaryFolder(t);
  const sha256 = "5".repeat(64);
  const content = {
    stack: "prod",
    region: "fra",
    version: "0.1.0+0123456789ab",
    files: ["config/901a.json", "relay.mjs", "stage1.sh"].map((name) => ({ path: name, sha256, size: 1 })),
    nodes: [{ name: "901a", files: ["config/901a.json", "relay.mjs"] }],
  };
  writeFileSync(path.join(folder, "manifest.json"), encodeManifest(buildManifest(content, 1234)));
  mkdirSync(path.join(folder, "updater"));
  const state = { format: 1, accepted: { sequence: 77, sha256 } } as const;
  writeFileSync(path.join(folder, "updater", "updater.json"), encodeState(state));
  const assignments = script.split("\n").filter((line) => /^(?:sum|memory|known|offered)=/.test(line));
  const { stdout } = spawnSync(
    "sh",
    ["-c", `work=$1 state=$1\n${assignments.join("\n")}\necho "$sum $known $offered"`, "sh", folder],
    { encoding: "utf8" },
  );
  assert.equal(stdout, `${sha256} 77 1234\n`);
});

const [a, b, c] = [makeKey(), makeKey(), makeKey()];
const pemOf = (key: KeyObject): string => renderPublicPem(encodePublicKey(key));
/** As the updater leaves it behind. */
const memoryOf = (boot: readonly KeyObject[], named: readonly KeyObject[] | undefined): UpdaterState => ({
  format: 1,
  accepted: { sequence: 77, sha256: "5".repeat(64) },
  failed: { release: "6".repeat(64), reason: 'it said:\n    "boot": "no",\n      "MCowBQ",\n' },
  keys: keepKeys(readBootKeys(boot.map(pemOf)), { format: 1 }, named?.map(encodePublicKey)),
});

/** Runs the part of stage 0 that decides whose signature counts. @returns true if it goes on */
function isTaken(
  folder: string,
  boot: readonly KeyObject[],
  memory: UpdaterState | undefined,
  signer: KeyObject,
): boolean {
  const script = filesOf(renderCloudInit(settings)).get("/usr/local/sbin/derpkit-stage0")?.content ?? "";
  const [part = ""] = /^memory=[^]*?no trusted key has signed the manifest"$/m.exec(script) ?? [];
  const [etc, state, work] = ["etc", "state", "work"].map((name) => path.join(folder, name));
  for (const each of [etc, work, `${state}/updater`]) mkdirSync(String(each), { recursive: true });
  for (const [index, key] of boot.entries()) writeFileSync(`${etc}/trusted-${index + 1}.pem`, pemOf(key));
  if (memory !== undefined) writeFileSync(`${state}/updater/updater.json`, encodeState(memory));
  const manifest = Buffer.from("a manifest\n");
  const signature = Buffer.from(signManifest(manifest, signer).toString(), "base64");
  writeFileSync(`${work}/manifest.json`, manifest);
  writeFileSync(`${work}/signature`, signature);
  const fail = 'set -eu\nfail() { echo "$*"; exit 1; }';
  const text = `${fail}\nstate=${state} work=${work}\n${part.replaceAll("/etc/derpkit", String(etc))}\necho taken`;
  const { stdout, stderr } = spawnSync("sh", ["-c", text], { encoding: "utf8" });
  assert.match(stdout, /^(?:taken|no trusted key has signed the manifest)\n$/, stderr);
  return stdout === "taken\n";
}

const withoutOpenssl =
  !/-rawin/.test(spawnSync("openssl", ["pkeyutl", "-help"], { encoding: "utf8" }).stderr ?? "") &&
  "there is no openssl that verifies Ed25519";

for (const [what, boot, memory, taken, refused] of [
  ["no memory: what it boots with", [a, b], undefined, [a, b], [c]],
  ["a memory without keys: what it boots with", [a], memoryOf([a], undefined), [a], [b]],
  [
    "keys that a manifest named: those, and no longer what it boots with",
    [a],
    memoryOf([a], [b]),
    [b],
    [a, c],
  ],
  ["two that a manifest named: both", [a], memoryOf([a], [b, a]), [a, b], [c]],
  [
    "keys that were named to a machine that booted with others: what it boots with",
    [c],
    memoryOf([a], [b]),
    [c],
    [a, b],
  ],
  ["two boot keys of which one was others': what it boots with", [a, c], memoryOf([a], [b]), [a, c], [b]],
] as const) {
  test(`the script trusts, with ${what}`, { skip: withoutOpenssl }, (t) => {
    const verdicts = (signers: readonly KeyObject[]): boolean[] =>
      signers.map((signer) => isTaken(temporaryFolder(t), boot, memory, signer));
    assert.deepEqual(
      verdicts(taken),
      taken.map(() => true),
    );
    assert.deepEqual(
      verdicts(refused),
      refused.map(() => false),
    );
  });
}
