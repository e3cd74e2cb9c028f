/** What a machine was made with, kept for as long as the machine is. */
import * as pulumi from "@pulumi/pulumi";

/**
 * Keeps a value in the stack's state from its first time on: what is given later counts only when the generation
 * changes. So neither a new image nor a changed text of ours replaces a machine, and a rebuild takes all that is new.
 *
 * The resource's name has the generation in it. Ignoring changes of one resource would not do: the engine would then
 * build the new machine from the old values too.
 */
export function recordBoot<Value extends object>(
  name: string,
  generation: number,
  input: pulumi.Input<Value>,
  options: pulumi.CustomResourceOptions,
): pulumi.Output<Value> {
  const stash = new pulumi.Stash(
    `${name}-boot-${generation}`,
    { input },
    { ...options, ignoreChanges: ["input"] },
  );
  return stash.output as pulumi.Output<Value>;
}
