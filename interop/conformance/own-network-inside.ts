/** Runs inside a network of its own. A socket in the file system, which networks share, is its door. */
import { once } from "node:events";
import { connect, createServer, type Socket, type TcpSocketConnectOpts } from "node:net";
import process from "node:process";

const [door] = process.argv.slice(2);

const server = createServer((near) => {
  near.on("error", () => {});
  carry(near).catch(() => near.destroy());
});
server.listen(door, () => process.stdout.write("open\n"));
// Whoever holds the other end has gone.
process.stdin.on("end", () => process.exit()).resume();

/** The first piece says where to; a byte back says that the way is open. */
async function carry(near: Socket): Promise<void> {
  const [request]: [Buffer] = (await once(near, "data")) as [Buffer];
  near.pause();
  const place: TcpSocketConnectOpts = JSON.parse(request.toString());
  const far = connect(place);
  far.on("error", () => near.destroy());
  await once(far, "connect");
  near.write("\n");
  near.pipe(far).pipe(near);
}
