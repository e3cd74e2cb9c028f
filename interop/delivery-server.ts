/**
 * A web server that delivers a folder to machines, and, where a test's unit asks for it, has them run commands: nothing
 * else of a machine can be reached, as it has no SSH.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createHash } from "node:crypto";

/** True if it answers itself, in the place of the file. */
export type Trouble = (file: string, response: ServerResponse) => boolean;

export class DeliveryServer implements AsyncDisposable {
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #folder: string;
  readonly #commands: { readonly text: string; readonly done: (answer: string) => void }[] = [];
  #waiting: ServerResponse | undefined;
  #running: ((answer: string) => void) | undefined;
  /** What goes wrong with files; nothing by default. */
  trouble: Trouble = () => false;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(folder: string): Promise<DeliveryServer> {
    const server = new DeliveryServer(folder);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** As a machine calls it. */
  get url(): string {
    return `http://10.0.2.2:${this.port}`;
  }

  /** Runs a command in the machine's shell, as root. @returns all that it wrote */
  command(text: string): Promise<string> {
    return new Promise((done) => {
      this.#commands.push({ text, done });
      this.#offer();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/command") {
      this.#waiting = response;
      return this.#offer();
    }
    if (pathname === "/answer") {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      this.#running?.(Buffer.concat(chunks).toString());
      this.#running = undefined;
      return void response.end();
    }
    if (this.trouble(pathname, response)) return;
    const bytes = await readFile(path.join(this.#folder, path.normalize(pathname))).catch(() => undefined);
    if (bytes === undefined) return void response.writeHead(404).end();
    const etag = `"${createHash("sha256").update(bytes).digest("hex")}"`;
    if (request.headers["if-none-match"] === etag) return void response.writeHead(304).end();
    response.writeHead(200, { ETag: etag }).end(bytes);
  }

  /** A command at a time: the machine asks again when it has answered. */
  #offer(): void {
    if (this.#waiting === undefined || this.#waiting.destroyed) return;
    const next = this.#commands.shift();
    if (next === undefined) return;
    this.#running = next.done;
    this.#waiting.end(next.text);
    this.#waiting = undefined;
  }
}

/** Units that have a machine run what `command` asks for, by name. */
export function commandUnits(url: string): ReadonlyMap<string, string> {
  return new Map([
    ["derpkit-command.service", renderCommand(url)],
    ["derpkit-command.timer", "[Timer]\nOnActiveSec=1\nAccuracySec=1\n\n[Install]\nWantedBy=timers.target\n"],
  ]);
}

function renderCommand(url: string): string {
  return `[Unit]
Description=runs the commands of a test

[Service]
ExecStart=/bin/sh -c 'while :; do curl -sf --max-time 600 -o /run/command ${url}/command && { sh /run/command >/run/answer 2>&1; curl -sf --data-binary @/run/answer ${url}/answer; } || sleep 1; done'
Restart=always
`;
}
