/** The command with a script in the place of Pulumi's CLI; under the engine it runs in `interop/gitops.test.ts`. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { forever } from "../relay/outbound/testing/servers.ts";
import { command } from "./preview.ts";
import { noStandIn, projectFolder } from "./testing/project-folder.ts";
import { failureOf, runCommand } from "./testing/run-command.ts";

const folder = projectFolder();
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

function event(op: string, name: string, before: object, after: object): object {
  const [type, urn] = [
    "hcloud:index/server:Server",
    `urn:pulumi:prod::relays::hcloud:index/server:Server::${name}`,
  ];
  const detailedDiff = { labels: { diffKind: "update" } };
  return {
    resourcePreEvent: {
      metadata: { op, type, urn, old: { inputs: before }, new: { inputs: after }, detailedDiff },
    },
  };
}

const stack = {
  resOutputsEvent: {
    metadata: {
      op: "same",
      type: "pulumi:pulumi:Stack",
      urn: "s",
      new: { outputs: { derpMap: { Regions: { a: unknown } } } },
    },
  },
};

/** A CLI that logs these events. @param rest of its script */
function standIn(t: TestContext, events: readonly object[], rest = ""): string {
  const place = folder.lay({ prod: "config: {}\n" });
  writeFileSync(path.join(place, "log"), events.map((each) => JSON.stringify(each)).join("\n"));
  folder.standIn(
    t,
    `echo "$@" >said\necho "$PULUMI_DEBUG_COMMANDS" >debug\neval "log=\\$8"\ncp log "$log"\n${rest}`,
  );
  return place;
}

test("what would change, and what the stack would give, is one document", { skip: noStandIn }, async (t) => {
  const place = standIn(t, [
    event("update", "one", { labels: 1 }, { labels: 2 }),
    event("update", "two", {}, { labels: unknown }),
    stack,
  ]);
  const { status, text, document } = await runCommand(
    command,
    ["--stack", "prod", "--refresh", "--json"],
    forever,
  );
  assert.equal(status, 0);
  assert.equal(
    text,
    "update  hcloud:index/server:Server one (labels)\nupdate  hcloud:index/server:Server two (labels), if at all: what is signed is not known",
  );
  assert.partialDeepStrictEqual(document, {
    ok: true,
    types: ["hcloud:index/server:Server"],
    warnings: [],
    outputs: { derpMap: { Regions: { a: "(known after up)" } } },
  });
  const said = readFileSync(path.join(place, "said"), "utf8");
  assert.match(said, /^preview --stack prod --non-interactive --color never --event-log \S+ --refresh\n$/);
});

test(
  "--expect-no-changes ends with 1 for what is certain, and for nothing else",
  { skip: noStandIn },
  async (t) => {
    const args = ["--stack", "prod", "--expect-no-changes"];
    standIn(t, [event("update", "two", {}, { labels: unknown }), stack]);
    assert.equal((await runCommand(command, args, forever)).status, 0);
    writeFileSync("log", JSON.stringify(event("delete", "one", {}, {})));
    assert.equal((await runCommand(command, args, forever)).status, 1);
  },
);

test(
  "a preview that fails says why: in the engine's words, or in the CLI's",
  { skip: noStandIn },
  async (t) => {
    standIn(
      t,
      [{ diagnosticEvent: { severity: "error", message: "<{%reset%}>no such size<{%reset%}>" } }],
      "exit 255",
    );
    const work = (): Promise<unknown> => runCommand(command, ["--stack", "prod"], forever);
    assert.match(await failureOf(work()), /`pulumi preview` failed: no such size \[pulumi-failed\]/);
    writeFileSync("bin/pulumi", '#!/bin/sh\necho "error: no stack named" >&2\nexit 255\n');
    assert.match(await failureOf(work()), /`pulumi preview` failed: no stack named \[pulumi-failed\]/);
  },
);
