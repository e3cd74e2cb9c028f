/** Unmodified Tailscale clients against our relays: those of `npm start`, and a fleet under every check that there is. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import test, { describe, type TestContext, type TestOptions } from "node:test";
import { temporaryFolder } from "../relay/testing/temporary-folder.ts";
import { whyMissing } from "./conformance/relay-under-test.ts";
import { listTailnetChecks, passTailnetChecks, whyNoTailnetCheck } from "./tailnet-check.ts";
import { startTestFleet } from "./tailnet-fleet.ts";

const root = path.join(import.meta.dirname, "..");
const options = { skip: whyNoTailnetCheck, timeout: 900_000 };

test("Tailscale clients find, measure and use the relays of npm start", options, async (t) => {
  const project = await copyProject(t);
  const derpMap = path.join(project, "derp-map.json");
  await writeFile(derpMap, await startFleet(t, project));
  const checks = ["join", "bulk", "ping", "netcheck-stun", "netcheck-https", "upgrade-direct"];
  await passTailnetChecks(t, derpMap, checks);
});

/** It needs relays that refuse strangers, and the others do not. */
const admissionCheck = "verify-clients";
/** These know no pins. */
const unpinnable = new Set(["derpprobe", "websocket-tailnet"]);

const kinds = ["node", "bun"] as const;
const optionsOn = (kind: (typeof kinds)[number]): TestOptions => ({
  ...options,
  skip: options.skip || (whyMissing(kind) ?? false),
});

// Every check of Tailscale's clients, with certificates of an authority.
describe("118, 119. Given two relays restarted one after the other, then real tailscaled clients reconnect within seconds and packets flow without user action; given `tailscale debug derp <region>`, `tailscale netcheck` and derpprobe (TLS, UDP, mesh, bandwidth) against our server, then no errors.", () => {
  for (const kind of kinds) {
    test(kind, optionsOn(kind), async (t) => {
      const { derpMap, args } = await startTestFleet(t, { kind, certificates: "issued", admission: "none" });
      const checks = (await listTailnetChecks(t)).filter((name) => name !== admissionCheck);
      await passTailnetChecks(t, derpMap, checks, args);
    });
  }
});

for (const kind of kinds) {
  const ours = optionsOn(kind);

  test(
    `a mesh of a relay on ${kind} and a derper carries packets, and derpprobe finds it good`,
    ours,
    async (t) => {
      const fleet = { kind, beside: "derper", certificates: "issued", admission: "none" } as const;
      const { derpMap, args } = await startTestFleet(t, fleet);
      await passTailnetChecks(t, derpMap, ["mesh", "every-node", "derpprobe", "relay-restart"], args);
    },
  );

  test(
    `relays on ${kind} with pinned certificates pass every check that can do with pins`,
    ours,
    async (t) => {
      const { derpMap, args } = await startTestFleet(t, { kind, certificates: "pinned", admission: "none" });
      const checks = (await listTailnetChecks(t)).filter(
        (name) => name !== admissionCheck && !unpinnable.has(name),
      );
      await passTailnetChecks(t, derpMap, checks, [...args, "-bulk-mb", "10"]);
    },
  );

  for (const [admission, whom] of [
    ["url", "a controller at a URL"],
    ["socket", "a tailscaled at its socket"],
  ] as const) {
    test(
      `relays on ${kind} that ask ${whom} take the tailnet's nodes and refuse strangers`,
      ours,
      async (t) => {
        const { derpMap, args } = await startTestFleet(t, { kind, certificates: "issued", admission });
        await passTailnetChecks(t, derpMap, [admissionCheck], args);
      },
    );
  }
}

/** A project of its own: the example stack with ports and pins that nobody else uses. */
async function copyProject(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  for (const file of ["Pulumi.yaml", "Pulumi.local.yaml"])
    await cp(path.join(root, file), path.join(folder, file));
  return folder;
}

/** Starts the project's fleet until the end of the test. @returns the document that `--json` prints when it is proven */
async function startFleet(t: TestContext, project: string): Promise<string> {
  const fleet = spawn(process.execPath, [path.join(root, "scripts", "run.mjs"), "start", "--json"], {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(fleet, "exit");
  t.after(async () => {
    fleet.kill("SIGINT");
    await exited;
  });
  return await Promise.race([readDocument(fleet), failWith(fleet, exited)]);
}

async function readDocument(fleet: ChildProcess): Promise<string> {
  let printed = "";
  for await (const chunk of fleet.stdout?.setEncoding("utf8") ?? []) {
    printed += String(chunk);
    if (printed.endsWith("\n}\n")) return printed;
  }
  throw new Error(`npm start ended without a document: ${printed}`);
}

async function failWith(fleet: ChildProcess, exited: Promise<unknown>): Promise<never> {
  const errors = fleet.stderr === null ? "" : await text(fleet.stderr);
  await exited;
  throw new Error(`npm start ended: ${errors}`);
}
