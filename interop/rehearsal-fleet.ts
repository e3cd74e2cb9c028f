/**
 * A fleet as somebody runs one, with its tailnet: a stack file, `pulumi up` under the real engine, the kit's own commands, a
 * policy service, and a control server that hands the policy's derpMap to real clients.
 *
 * Two things stand for what is not here. The machines do not boot: of each node a relay runs on this machine, and the
 * commands are led to it by DERPKIT_CONNECT_TO, as `verify` can be anywhere. Clients have no such option, so the addresses in
 * their map are those of the relays here; all else in it is the policy's.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";
import { type DerpMap, regionsOf } from "../infra/derpmap/derp-map.ts";
import { drainingFile } from "../relay/updater/manifest.ts";
import { parseByOracle } from "../scripts/policy/testing/oracle.ts";
import { apiKey, type PolicyService, startPolicyService } from "../scripts/policy/testing/policy-service.ts";
import { CloudFleet } from "./cloud-fleet.ts";
import { type ControlServer, startControlServer } from "./control-server.ts";
import { createPlace, type RelayPlace, startRelayProcess } from "./relay-process.ts";
import { leadTo, type PublicPorts } from "./detours.ts";
import { delayStun } from "./stun-delay.ts";

export interface RehearsedRegion {
  readonly id: number;
  readonly code: string;
  /** AWS' name of it. */
  readonly location: string;
  /** How far clients are from it: what their STUN requests take, in milliseconds. */
  readonly distanceMs: number;
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** What it has written so far, to both of its streams. */
  readonly text: () => string;
  /** Its exit status; null if a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** A region's relay here, and the port at which clients find its STUN. */
interface Stage {
  readonly region: RehearsedRegion;
  readonly place: RelayPlace;
  readonly farStunPort: number;
}

const stack = "aws";
/** What `/derpkit/status` is shown for. */
const statusToken = "token-of-a-rehearsal-0123456789";
const publicPorts = ({ id }: RehearsedRegion): PublicPorts => ({ derp: 7_500 + id, stun: 8_500 + id });

const policy = `// Who may do what.
{
  "acls": [{ "action": "accept", "src": ["*"], "dst": ["*:*"] }], // all of us
}
`;

export class RehearsalFleet {
  readonly control: ControlServer;
  readonly #fleet: CloudFleet;
  readonly #service: PolicyService;
  readonly #stages: ReadonlyMap<string, Stage>;

  private constructor(
    control: ControlServer,
    fleet: CloudFleet,
    service: PolicyService,
    stages: ReadonlyMap<string, Stage>,
  ) {
    this.control = control;
    this.#fleet = fleet;
    this.#service = service;
    this.#stages = stages;
  }

  /**
   * Starts the relays of all regions, the clouds and the services, until the end of the test. Nothing is up, and the stack
   * has no region.
   */
  static async start(t: TestContext, regions: readonly RehearsedRegion[]): Promise<RehearsalFleet> {
    const stages = new Map<string, Stage>();
    const detours: string[] = [];
    for (const region of regions) {
      const place = await createPlace(t, `${region.id}a.derp.example.com`, undefined);
      const tokenFile = path.join(place.files.folder, "status-token");
      writeFileSync(tokenFile, statusToken);
      const flags = { "status-token-file": tokenFile, "draining-file": drainingPath(place) };
      await startRelayProcess(t, { kind: "node", ...place, flags });
      stages.set(`${region.id}a`, {
        region,
        place,
        farStunPort: await delayStun(t, place.stunPort, region.distanceMs),
      });
      detours.push(...leadTo(place, "192.0.2", publicPorts(region)));
    }
    const service = await startPolicyService(t, policy);
    const fleet = await CloudFleet.start(stack, {
      DERPKIT_CONNECT_TO: detours.join(","),
      TAILSCALE_API_URL: service.server.url.href,
      TS_API_KEY: apiKey,
    });
    t.after(() => fleet[Symbol.asyncDispose]());
    return new RehearsalFleet(await startControlServer(t), fleet, service, stages);
  }

  /** The stack file. */
  get text(): string {
    return readFileSync(path.join(this.#fleet.project.project, `Pulumi.${stack}.yaml`), "utf8");
  }

  /** Writes the stack file's configuration, without regions. @param more of it */
  configure(more: string): void {
    this.edit((text) => {
      const [salt = ""] = /^encryptionsalt: .*\n/m.exec(text) ?? [];
      const [keys = ""] = /^ {2}derpkit:trustedKeys:\n(?: {4}.*\n)+/m.exec(text) ?? [];
      return text.replace(
        /^config:\n[^]*/m,
        `${salt}config:
  derpkit:domain: derp.example.com
  derpkit:verify: { firstBootMinutes: 3, upgradeMinutes: 3 }
  derpkit:delivery: { url: "https://downloads.example.com/derpkit" }
${keys}${more}  # Three countries.
  derpkit:regions:
`,
      );
    });
  }

  /** Keeps the secret that the regions name. No client may run: it blocks this process. */
  setStatusToken(): void {
    this.#fleet.setSecret("statusReader", statusToken);
  }

  /** A region's entry in the stack file. */
  render(region: RehearsedRegion, state: string): string {
    const { id, code, location } = region;
    const { derp, stun } = publicPorts(region);
    return `    - id: ${id}
      code: ${code}
      name: Region ${code}
      cloud: aws
      location: ${location}
      addresses: [ipv4]
      certificates: pinned
      admission: { anyone: true }
      statusToken: statusReader
      state: ${state} # of ${code}
      nodes: [{ pin: "${this.#stages.get(`${id}a`)?.place.files.pin}", derpPort: ${derp}, stunPort: ${stun} }]
`;
  }

  /** Changes the stack file, which has to change by it. */
  edit(change: (text: string) => string): void {
    const before = this.text;
    this.#fleet.edit(change);
    assert.notEqual(this.text, before);
  }

  /**
   * `pulumi up`, with its gates. Of what its releases would then bring to the relays they get the one file by which they know
   * that their region drains.
   *
   * @param more options
   */
  async up(...more: readonly string[]): Promise<void> {
    const args = ["up", "--yes", "--skip-preview", "--stack", stack, "--non-interactive", ...more];
    await succeeds("pulumi up", this.#spawn("pulumi", args));
    for (const { region, place } of this.#stages.values()) {
      if (this.text.includes(`state: draining # of ${region.code}\n`)) writeFileSync(drainingPath(place), "");
      else rmSync(drainingPath(place), { force: true });
    }
  }

  /** Starts a command of the kit on the stack. */
  run(command: string, ...args: readonly string[]): Running {
    return this.#spawn(process.execPath, ["scripts/run.mjs", command, "--stack", stack, ...args]);
  }

  /** Runs a command of the kit on the stack, which has to succeed. @returns what it wrote */
  async succeed(command: string, ...args: readonly string[]): Promise<string> {
    return await succeeds(command, this.run(command, ...args));
  }

  /**
   * What comes after each `up`: the fleet's relays are verified, and the map goes into the policy, from where the control
   * server hands it out.
   *
   * @returns the map that clients get, and when they began to, as `performance.now()`
   */
  async push(): Promise<{ readonly map: DerpMap; readonly at: number }> {
    await this.succeed("verify");
    await this.succeed("policy", "push");
    assert.ok(this.#service.text.startsWith("// Who may do what.\n"));
    assert.match(this.#service.text, /"dst": \["\*:\*"\] \}\], \/\/ all of us\n/);
    const map = this.#bringHere();
    const at = performance.now();
    await this.control.publish(map);
    return { map, at };
  }

  /** What a pipeline does that has nothing to do: an `up` and a push, neither of which finds anything. */
  async staysAsItIs(): Promise<void> {
    await this.up("--expect-no-changes");
    const before = this.#service.text;
    const said = await this.succeed("policy", "push");
    assert.match(said, /as it should be, nothing was written/);
    assert.equal(this.#service.text, before);
  }

  /** The policy's derpMap, with the addresses of what runs here. */
  #bringHere(): DerpMap {
    const { derpMap } = Object(parseByOracle(this.#service.text)) as { derpMap: DerpMap };
    const regions = regionsOf(derpMap).map((region) => {
      const Nodes = region.Nodes.map((node) => {
        const stage = this.#stages.get(node.Name);
        assert.ok(stage, node.Name);
        return {
          ...node,
          IPv4: "127.0.0.1",
          DERPPort: stage.place.derpPort,
          STUNPort: stage.farStunPort,
        };
      });
      return [String(region.RegionID), { ...region, Nodes }] as const;
    });
    return { ...derpMap, Regions: Object.fromEntries(regions) };
  }

  /** Leaves this process free: it has packets to pass on meanwhile. */
  #spawn(program: string, args: readonly string[]): Running {
    const { project, environment } = this.#fleet.project;
    const child = spawn(program, args, {
      cwd: project,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    }
    const ended = once(child, "close").then(([status]) => status as number | null);
    return { child, text: () => text, ended };
  }
}

const drainingPath = ({ files }: RelayPlace): string => path.join(files.folder, drainingFile);

async function succeeds(what: string, { ended, text }: Running): Promise<string> {
  assert.equal(await ended, 0, `${what}\n${text()}`);
  return text();
}
