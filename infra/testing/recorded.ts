/** Runs a piece of the program without an engine and notes what it declares. */
import timers from "node:timers/promises";
import * as pulumi from "@pulumi/pulumi";

export interface Declared {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/**
 * Takes the engine's place for the rest of the process.
 *
 * @param stateOf what a resource has beyond its inputs; by default nothing, and its id is a number that grows
 */
export async function recordResources(
  stateOf: (resource: Declared) => Readonly<Record<string, unknown>> = () => ({}),
): Promise<Declared[]> {
  const declared: Declared[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        const resource = { type, name, inputs };
        declared.push(resource);
        // The engine's own resource, which gives what it was first given.
        const kept = type === "pulumi:index:Stash" ? { output: inputs["input"] } : {};
        return { id: String(declared.length), state: { ...inputs, ...kept, ...stateOf(resource) } };
      },
      call: () => ({}),
    },
    "derpkit",
    "test",
    true,
  );
  return declared;
}

/** Waits until so many resources have been declared: the SDK registers them by and by. */
export async function declaredAre(declared: readonly Declared[], count: number): Promise<void> {
  while (declared.length < count) await timers.setTimeout(1);
}

/** Waits until a value is known. */
export async function valueOf<Value>(output: pulumi.Input<Value>): Promise<pulumi.Unwrap<Value>> {
  return new Promise((resolve) => pulumi.output(output).apply(resolve));
}
