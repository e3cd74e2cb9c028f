import assert from "node:assert/strict";
import { test } from "node:test";
import { parse as parseYaml } from "yaml";
import { renderConfigurationDocs } from "./docs.ts";
import { parseFleetConfig } from "./parse.ts";
import { fleetSchema, nodeSchema, regionSchema } from "./schema.ts";

const docs = renderConfigurationDocs();

test("the page has a row for every key, and no cell of it is left without words", () => {
  for (const { entries } of [fleetSchema, regionSchema, nodeSchema]) {
    for (const key of Object.keys(entries)) {
      const row = docs.split("\n").find((line) => line.startsWith(`| \`${key}\` |`));
      const cells = row?.split(" | ").slice(1, 4) ?? [];
      assert.ok(cells.length === 3 && cells.every((cell) => cell.trim() !== ""), `${key}: ${row}`);
    }
  }
});

test("the page's example is a configuration without mistakes", () => {
  const yaml = /```yaml\n(.*?)```/s.exec(docs)?.[1] ?? "";
  const { config }: { config: Record<string, unknown> } = parseYaml(yaml);
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  const fleet = parseFleetConfig({ where: "docs", values, secretKeys: new Set() });
  assert.equal(fleet.regions.length, 2);
});
