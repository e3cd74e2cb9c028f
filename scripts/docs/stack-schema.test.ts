import assert from "node:assert/strict";
import { test } from "node:test";
import { renderStackSchema } from "./stack-schema.ts";

test("an editor is told every key of a region, what it means and what may be chosen", () => {
  const schema: unknown = JSON.parse(renderStackSchema());
  const { properties } = Object(schema).properties.config;
  const region = properties["derpkit:regions"].items;
  assert.deepEqual(region.required, ["id", "code", "name", "cloud"]);
  assert.equal(region.additionalProperties, false);
  assert.deepEqual(region.properties.state.enum, ["canary", "serving", "draining", "retired"]);
  assert.match(region.properties.generation.description, /builds the region's machines anew/);
  assert.equal(region.properties.nodes.items.properties.hostName.type, "string");
  assert.deepEqual(properties["derpkit:dns"].properties.provider.enum, ["none", "cloudflare"]);
});
