/** Relays as a team would run them, for `tailnet-check`: a region with two relays in a mesh, and one with a single relay. */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { RelayKind } from "./conformance/relay-under-test.ts";
import { createPlace, type RelayPlace, type RelayProcess, startRelayProcess } from "./relay-process.ts";
import { startCommand } from "./shell-command.ts";
import { buildTestMap, type TestNode } from "./test-map.ts";
import { freePort } from "./test-ports.ts";
import { createTestAuthority } from "./test-authority.ts";

/** How clients know the relays. */
export type Certificates =
  | "issued" // for `localhost`, by an authority that they trust
  | "pinned"; // self-signed for an IP address, and named by its hash in the map

/** Whom the relays ask who may come in: nobody, or `tailnet-check` in one of the two ways that derper has. */
export type Admission = "none" | "url" | "socket";

export interface FleetOptions {
  readonly kind: RelayKind;
  /** What the second relay of the mesh is; the same by default. */
  readonly beside?: RelayKind;
  readonly certificates: Certificates;
  readonly admission: Admission;
}

export interface TestFleet {
  /** File with the map. */
  readonly derpMap: string;
  /** Flags with which `tailnet-check` trusts the relays, is asked by them, ends a region and starts it again. */
  readonly args: readonly string[];
}

interface Member extends RelayPlace {
  readonly name: string;
  readonly region: number;
}

const members = [
  { name: "901a", region: 901 },
  { name: "901b", region: 901 },
  { name: "902a", region: 902 },
];
/** The region whose relays know each other, and which is ended and started again. */
const meshed = 901;

/** Starts the relays; they end with the test. */
export async function startTestFleet(
  t: TestContext,
  { kind, beside = kind, certificates, admission }: FleetOptions,
): Promise<TestFleet> {
  const authority = certificates === "issued" ? createTestAuthority() : undefined;
  const hostName = certificates === "issued" ? "localhost" : "127.0.0.1";
  const fleet: Member[] = [];
  for (const member of members) {
    fleet.push({ ...member, ...(await createPlace(t, hostName, authority)) });
  }
  const folder = fleet[0]?.files.folder ?? "";
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const meshKey = await file("mesh.key", randomBytes(32).toString("hex"));
  const roots = authority === undefined ? undefined : await file("roots.pem", authority.certificatePem);
  const asking = await chooseAdmission(admission, path.join(folder, "tailscaled.sock"));
  const mesh = { "mesh-psk-file": meshKey, "mesh-with": renderMeshWith(fleet, certificates) };
  const region: RelayProcess[] = [];
  for (const member of fleet) {
    const relay = await startRelayProcess(t, {
      ...member,
      kind: member.name === "901b" ? beside : kind,
      flags: { a: `:${member.derpPort}`, ...asking.flags, ...(member.region === meshed ? mesh : {}) },
      env: roots === undefined ? {} : { SSL_CERT_FILE: roots },
    });
    if (member.region === meshed) region.push(relay);
  }
  return {
    derpMap: await file(
      "derp-map.json",
      JSON.stringify(buildTestMap(fleet.map((member) => describe(member, certificates)))),
    ),
    args: [
      ...(roots === undefined ? [] : ["-ca", roots]),
      "-mesh-psk-file",
      meshKey,
      ...asking.args,
      ...(await startCommands(t, region)),
    ],
  };
}

async function chooseAdmission(
  admission: Admission,
  socket: string,
): Promise<{ flags: Record<string, string>; args: string[] }> {
  if (admission === "none") return { flags: {}, args: [] };
  if (admission === "socket") {
    return { flags: { "verify-clients": "true", socket }, args: ["-verify-socket", socket] };
  }
  const address = `127.0.0.1:${await freePort("tcp")}`;
  return {
    flags: { "verify-client-url": `http://${address}/verify`, "verify-client-url-fail-open": "false" },
    args: ["-admit-listen", address],
  };
}

/** Every relay of the region: each is told of itself too, as in a fleet whose nodes have one configuration. */
function renderMeshWith(fleet: readonly Member[], certificates: Certificates): string {
  const entries = fleet
    .filter(({ region }) => region === meshed)
    .map(({ files: { hostName, pin }, derpPort }) => {
      const place = `${hostName}:${derpPort}`;
      return certificates === "pinned" ? `${place}=${pin}` : place;
    });
  return entries.join(",");
}

function describe({ name, region, files, derpPort, stunPort }: Member, certificates: Certificates): TestNode {
  const { hostName, pin } = files;
  const certName = certificates === "pinned" ? pin : "";
  return { name, region, hostName, certName, derpPort, stunPort, ipv6: hasLoopbackIpv6() };
}

/** Flags with commands that end the relays of the region, and that start them and print their process ids. */
async function startCommands(t: TestContext, relays: readonly RelayProcess[]): Promise<string[]> {
  const kill = await startCommand(t, async () => {
    await Promise.all(relays.map((relay) => relay.kill()));
    return "";
  });
  const restart = await startCommand(t, async () => {
    await Promise.all(relays.map((relay) => relay.restart()));
    return relays.map(({ pid }) => pid).join(" ");
  });
  return ["-kill-cmd-of-region", `${meshed}=${kill}`, "-restart-cmd-of-region", `${meshed}=${restart}`];
}

function hasLoopbackIpv6(): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));
}
