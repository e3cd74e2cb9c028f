/** Commands for a foreign program that has a shell run something: they have the test's own process do it. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { TestContext } from "node:test";

/** Makes a command for a shell that has this process do something and prints what it gives. */
export async function startCommand(t: TestContext, run: () => Promise<string>): Promise<string> {
  const server = createServer((_request, response) => {
    run().then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return `'${process.execPath}' -e '${askAndPrint}' http://127.0.0.1:${port}/`;
}

const askAndPrint =
  "fetch(process.argv[1]).then(async (answer) => {" +
  "process.stdout.write(await answer.text()); process.exitCode = answer.ok ? 0 : 1; });";
