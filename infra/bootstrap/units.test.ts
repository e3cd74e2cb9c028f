import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { findSealedNames } from "../../relay/agent/places.ts";
import { temporaryFolder } from "../../relay/testing/temporary-folder.ts";
import { renderUnits, type UnitSettings } from "./units.ts";

const canVerify = spawnSync("systemd-analyze", ["--version"]).status === 0;

const settings: UnitSettings = {
  derpPort: 443,
  stunPort: 3478,
  http: false,
  credentials: [],
  secretChannel: "instance",
};

/** The values of a setting in a unit, in their order. */
function valuesOf(unit: string | undefined, name: string): string[] {
  return (unit ?? "")
    .split("\n")
    .flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
}

test("a node has its relay, its sockets, its updater and a timer, and port 80 only where it is asked for", () => {
  assert.deepEqual(
    [...renderUnits(settings).keys()],
    [
      "derpkit-relay.service",
      "derpkit-derp.socket",
      "derpkit-stun.socket",
      "derpkit-updater.service",
      "derpkit-updater-back.service",
      "derpkit-retry.service",
      "derpkit-retry.timer",
    ],
  );
  assert.deepEqual(
    valuesOf(renderUnits({ ...settings, http: true }).get("derpkit-http.socket"), "ListenStream"),
    ["80"],
  );
});

test("sockets have the node's ports, both families, the names that the relay knows, and no limit that would close them", () => {
  const units = renderUnits({ ...settings, derpPort: 8443, stunPort: 3479 });
  const [derp, stun] = [units.get("derpkit-derp.socket"), units.get("derpkit-stun.socket")];
  assert.deepEqual([valuesOf(derp, "ListenStream"), valuesOf(stun, "ListenDatagram")], [["8443"], ["3479"]]);
  assert.deepEqual(
    [valuesOf(derp, "FileDescriptorName"), valuesOf(stun, "FileDescriptorName")],
    [["derp"], ["stun"]],
  );
  for (const unit of [derp, stun]) {
    assert.deepEqual(valuesOf(unit, "BindIPv6Only"), ["both"]);
    assert.deepEqual(valuesOf(unit, "TriggerLimitIntervalSec"), ["0"]);
  }
});

test("the relay has no capability, its own user, and no way to the cloud's metadata", () => {
  const unit = renderUnits(settings).get("derpkit-relay.service");
  assert.deepEqual(valuesOf(unit, "CapabilityBoundingSet"), [""]);
  assert.deepEqual(valuesOf(unit, "User"), ["derpkit"]);
  assert.match(valuesOf(unit, "IPAddressDeny").join(), /169\.254\.169\.254\/32 fd00:ec2::254\/128/);
  assert.deepEqual(valuesOf(unit, "RequiresMountsFor"), ["/var/lib/derpkit"]);
});

test("what is run beside the relay is run outside of its sandbox, in which next to nothing may be executed", () => {
  const unit = renderUnits(settings).get("derpkit-relay.service");
  for (const command of ["ExecStartPre", "ExecReload", "ExecStopPost"])
    assert.match(valuesOf(unit, command).join(), /^\+\/bin\//);
});

test("five starts in a minute are a crash loop", () => {
  const unit = renderUnits(settings).get("derpkit-relay.service");
  assert.deepEqual(
    [valuesOf(unit, "StartLimitIntervalSec"), valuesOf(unit, "StartLimitBurst")],
    [["60"], ["5"]],
  );
});

test("a stop for good closes every socket at once, before and after the relay serves", () => {
  const unit = renderUnits({ ...settings, http: true }).get("derpkit-relay.service");
  const [closing = ""] = valuesOf(unit, "ExecStop");
  assert.match(
    closing,
    /systemctl stop --no-block --job-mode=ignore-dependencies derpkit-derp\.socket derpkit-stun\.socket derpkit-http\.socket derpkit-retry\.timer/,
  );
  assert.deepEqual(valuesOf(unit, "ExecStopPost"), [closing]);
});

test("what a relay is told in secret comes as a credential", () => {
  const of = (credentials: readonly string[]): string[] =>
    valuesOf(renderUnits({ ...settings, credentials }).get("derpkit-relay.service"), "LoadCredential");
  assert.deepEqual(of([]), []);
  assert.deepEqual(of(["tailnet-api"]), ["tailnet-api:/run/derpkit/credentials/tailnet-api"]);
  const units = renderUnits({ ...settings, credentials: ["tailnet-api"] });
  assert.match(units.get("derpkit-secrets.service") ?? "", /updater\.mjs --secrets tailnet-api$/m);
  assert.deepEqual(valuesOf(units.get("derpkit-relay.service"), "Requires"), ["derpkit-secrets.service"]);
  assert.ok(!renderUnits(settings).has("derpkit-secrets.service"));
});

test("what is sealed to the relay may come later: without it the relay starts, each credential a line with nothing in it", () => {
  const units = renderUnits({ ...settings, credentials: ["mesh-key"], secretChannel: "sealed" });
  const relay = units.get("derpkit-relay.service");
  assert.deepEqual(valuesOf(relay, "LoadCredential"), ["mesh-key:/run/derpkit/credentials/mesh-key"]);
  assert.deepEqual(valuesOf(relay, "SetCredential"), ["mesh-key:\\n"]);
  assert.deepEqual(valuesOf(relay, "Requires"), []);
  assert.ok(valuesOf(relay, "Wants").includes("derpkit-secrets.service"));
  assert.ok(valuesOf(relay, "After").includes("derpkit-secrets.service"));
  const secrets = units.get("derpkit-secrets.service");
  assert.deepEqual(findSealedNames(secrets ?? ""), ["mesh-key"]);
  assert.deepEqual(valuesOf(secrets, "RequiresMountsFor"), ["/var/lib/derpkit"]);
  assert.deepEqual(valuesOf(secrets, "ReadWritePaths"), ["-/var/lib/derpkit/updater"]);
});

test("systemd understands every unit", { skip: !canVerify && "there is no systemd here" }, (t) => {
  for (const secretChannel of ["instance", "sealed"] as const) {
    const folder = temporaryFolder(t);
    const units = renderUnits({ ...settings, http: true, credentials: ["mesh-key"], secretChannel });
    for (const [name, text] of units) writeFileSync(join(folder, name), text);
    const { stderr } = spawnSync(
      "systemd-analyze",
      ["verify", ...[...units.keys()].map((name) => join(folder, name))],
      {
        encoding: "utf8",
        env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
      },
    );
    const about = stderr
      .split("\n")
      .filter((line) => /derpkit-/.test(line) && !/is not executable|Failed to load environment/.test(line));
    assert.deepEqual(about, []);
  }
});

test("every unit that is named is there, and every variable is systemd's to fill in", () => {
  const units = renderUnits({ ...settings, http: true });
  const named = [...units.values()].join("\n").match(/derpkit-[a-z-]+\.(?:service|socket|timer)/g) ?? [];
  for (const unit of named) assert.ok(units.has(unit), unit);
  for (const [name, text] of units) assert.doesNotMatch(text, /undefined|\[object/, name);
});
