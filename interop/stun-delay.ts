/** A long way to a relay's STUN port: answers come later, so that clients take its region for a distant one. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { transactionIdLength } from "../relay/stun/message.ts";

/** RFC 8489, section 5: type, length and magic cookie come before it. */
const transactionIdAt = 8;
/** Whoever has no answer by then has asked again. */
const forgetMs = 10_000;

/**
 * Passes requests on, and answers back with a delay, until the end of the test. The relay sees one source for all clients,
 * which is the address that they are told; nobody here needs another.
 *
 * @param stunPort of the relay, on 127.0.0.1
 * @returns the port that clients shall ask in its place
 */
export async function delayStun(t: TestContext, stunPort: number, delayMs: number): Promise<number> {
  const [front, back] = [createSocket("udp4"), createSocket("udp4")];
  const askers = new Map<string, RemoteInfo>();
  let isOver = false;
  t.after(() => {
    isOver = true;
    for (const socket of [front, back]) socket.close();
  });
  front.on("message", (request, asker) => {
    const id = transactionIdOf(request);
    askers.set(id, asker);
    setTimeout(() => askers.delete(id), forgetMs).unref();
    back.send(request, stunPort, "127.0.0.1");
  });
  back.on("message", (answer) => {
    const asker = askers.get(transactionIdOf(answer));
    if (asker === undefined) return;
    setTimeout(() => {
      if (!isOver) front.send(answer, asker.port, asker.address);
    }, delayMs);
  });
  front.bind(0, "127.0.0.1");
  await once(front, "listening");
  return front.address().port;
}

function transactionIdOf(message: Buffer): string {
  return message.toString("latin1", transactionIdAt, transactionIdAt + transactionIdLength);
}
