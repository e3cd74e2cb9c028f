/** docs/stack.schema.json: what an editor completes and marks in a stack file. */
import { toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { namespace } from "../../infra/config/path.ts";
import { fleetSchema } from "../../infra/config/schema.ts";
import { stackSecrets } from "../../infra/config/secrets.ts";

/** Renders a JSON Schema (draft 7) of stack files. Checks of the kit that it cannot say are left to `npm run plan`. */
export function renderStackSchema(): string {
  const entries: [string, v.GenericSchema][] = Object.entries(fleetSchema.entries);
  const keys = entries.map(([key, schema]) => {
    const { $schema: _, ...property } = toJsonSchema(schema, { typeMode: "input", errorMode: "ignore" });
    return [`${namespace}${key}`, property] as const;
  });
  const secrets = Object.entries(stackSecrets).map(([key, description]) => [
    `${namespace}${key}`,
    { description, ...secretOnly },
  ]);
  const config = {
    description:
      "The stack's configuration. Keys of the kit begin with derpkit:, those of providers with their names.",
    type: "object",
    properties: Object.fromEntries([...keys, ...secrets]),
    required: [`${namespace}regions`],
  };
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "A stack of derpkit",
    type: "object",
    properties: { config },
    required: ["config"],
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** As Pulumi writes a secret. */
const secretOnly = {
  type: "object",
  properties: { secure: { type: "string" } },
  required: ["secure"],
  additionalProperties: false,
};
