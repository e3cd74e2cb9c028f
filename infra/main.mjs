// The program's entry. Plain JavaScript on purpose: `pulumi up` runs the Node.js that is first in PATH, and one that
// cannot run TypeScript has to get as far as the sentence that says what to do.
import { existsSync } from "node:fs";
import process from "node:process";
import pulumi from "@pulumi/pulumi";

const wanted = 24;

if (Number(process.versions.node.split(".")[0]) < wanted) {
  const error = new pulumi.RunError(
    `derpkit needs Node.js ${wanted} and this is ${process.versions.node}. Run \`npm run pulumi -- up\`, ` +
      `which brings the pinned one, or install Node.js ${wanted} (https://nodejs.org).`,
  );
  // Pulumi has the stack coloured although it does not show it, and Node.js 20 takes many seconds for that.
  error.stack = error.message;
  throw error;
}

// The sources, or what the build made of them.
const program = existsSync(new URL("./index.ts", import.meta.url)) ? "./index.ts" : "./index.js";

export const { derpMap, derpMapJson, unverified, nodes, dnsRecords, next, releases } = await import(program);
