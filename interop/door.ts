/** The way to a port of this machine, which a test can shut: whoever is behind it notices nothing and goes on. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export class Door {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((outside) => this.#lead(outside));
  readonly #port: number;
  readonly #behind: number;

  /** @param port where one knocks @param behind where one gets to, on 127.0.0.1 as well */
  constructor(port: number, behind: number) {
    this.#port = port;
    this.#behind = behind;
  }

  /** From now on whoever connects gets through. */
  async open(): Promise<void> {
    const listening = once(this.#server, "listening");
    this.#server.listen(this.#port, "127.0.0.1");
    await listening;
  }

  /** From now on connections are refused; those that are there are cut. */
  async shut(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #lead(outside: Socket): void {
    const inside = connect(this.#behind, "127.0.0.1");
    for (const [socket, other] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {}); // The close that follows is passed on.
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
