/** Runs the Pulumi program in this process, without Pulumi's CLI or engine. */
import process from "node:process";
import * as pulumi from "@pulumi/pulumi";
import type {
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
  RegisterResourceResponse,
} from "@pulumi/pulumi/proto/resource_pb.js";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import type { FleetNode } from "../../infra/clouds/cloud.ts";
import type { FleetConfig } from "../../infra/config/fleet.ts";
import type { DerpMap } from "../../infra/derpmap/derp-map.ts";
import type { DnsRecord } from "../../infra/dns/dns.ts";
import { declareFleet, prepareFleet } from "../../infra/program.ts";
import type { UnverifiedRegion } from "../../infra/relay-fleet.ts";
import type { StackFile } from "./stack-file.ts";

/** Stands for a value that only the cloud knows, and only after `pulumi up`. */
export const knownAfterUp = "(known after up)";

export interface PlannedResource {
  readonly type: string;
  readonly name: string;
  /** Name of the parent; the stack itself has none. */
  readonly parent?: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
}

export type Properties = Readonly<Record<string, unknown>>;

export interface ProgramResult {
  /** In the order of declaration, parents before their children, the stack first. */
  readonly resources: readonly PlannedResource[];
  /** Keys sorted, as `pulumi stack output derpMap --json` prints them. */
  readonly derpMap: DerpMap;
  /** Regions that no gate was passed by. */
  readonly unverified: readonly UnverifiedRegion[];
  readonly nodes: readonly FleetNode[];
  readonly dnsRecords: readonly DnsRecord[];
  /** What to do now, in words. */
  readonly next: readonly string[];
  /** The configuration that all this comes from. */
  readonly config: FleetConfig;
}

/**
 * Runs the program on a stack, as a preview would. One at a time: Pulumi's SDK keeps its state in the process.
 *
 * @throws KitError as the program throws it
 */
export async function runProgram(
  { stack, file, root, config, secretKeys }: StackFile,
  warn: (message: string) => void = (message) => process.stderr.write(`warning: ${message}\n`),
): Promise<ProgramResult> {
  const recorder = new Recorder();
  pulumi.runtime.setMockOptions(recorder, "derpkit", stack, true);
  pulumi.runtime.setAllConfig(Object.fromEntries(config), [...secretKeys]);
  const log = { info: () => {}, warn };
  // Outside the stack: an error inside rejects promises of the SDK that nobody holds, and would end the process.
  const fleet = await prepareFleet({
    root,
    stack,
    where: file,
    secretKeys,
    now: new Date(),
    offline: true,
    previous: [],
    releases: {},
    log,
  });
  await pulumi.runtime.runInPulumiStack(async () => declareFleet(fleet));
  // The stack's outputs are complete before the last resource is registered.
  await pulumi.runtime.disconnect();
  return { ...recorder.result(), config: fleet.config };
}

/** Takes the engine's place and keeps what the SDK sends it. */
class Recorder extends MockMonitor {
  readonly #recorded = new Map<string, PlannedResource>();

  constructor() {
    // What a resource has beyond its inputs is known after up.
    super({ newResource: ({ inputs }) => ({ id: undefined, state: inputs }), call: () => ({}) });
  }

  override registerResource(
    request: RegisterResourceRequest,
    reply: Reply<RegisterResourceResponse>,
  ): Promise<void> {
    return super.registerResource(request, (error, response?: RegisterResourceResponse) => {
      if (response !== undefined) this.#record(request, response);
      reply(error, response);
    });
  }

  override registerResourceOutputs(request: RegisterResourceOutputsRequest, reply: Reply<unknown>): void {
    const resource = this.#recorded.get(request.getUrn());
    if (resource !== undefined) {
      this.#recorded.set(request.getUrn(), { ...resource, outputs: readable(request.getOutputs()) });
    }
    super.registerResourceOutputs(request, reply);
  }

  /** To be called when everything is registered. The stack is first: the others wait for it, being below it. */
  result(): Omit<ProgramResult, "config"> {
    const resources = [...this.#recorded.values()];
    const outputs: Omit<ProgramResult, "resources" | "config"> = JSON.parse(
      JSON.stringify(resources[0]?.outputs),
    );
    const { derpMap, unverified, nodes, dnsRecords, next } = outputs;
    return { resources, derpMap, unverified, nodes, dnsRecords, next };
  }

  #record(request: RegisterResourceRequest, response: RegisterResourceResponse): void {
    const parent = this.#recorded.get(request.getParent())?.name;
    this.#recorded.set(response.getUrn(), {
      type: request.getType(),
      name: request.getName(),
      ...(parent === undefined ? {} : { parent }),
      inputs: readable(request.getObject()),
      outputs: readable(response.getObject()),
    });
  }
}

type Reply<Response> = (error: unknown, response?: Response) => void;

/** Turns the wire's form of properties into plain values: keys sorted, unknown values and secrets as words. */
export function readable(properties: { toJavaScript(): object } | undefined): Properties {
  return readableValue(properties?.toJavaScript() ?? {});
}

/** The same of properties that came as JSON, as the engine logs them. */
export function readableValue(properties: object): Properties {
  return JSON.parse(JSON.stringify(properties), (_, value: unknown) => {
    if (value === pulumi.runtime.unknownValue) return knownAfterUp;
    return pulumi.runtime.isRpcSecret(value) ? "[secret]" : value;
  });
}
