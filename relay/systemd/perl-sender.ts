/**
 * Sends to a unix datagram socket, which neither Node nor Bun can: a helper does it for as long as the process lives, so
 * that no process has to be started for each message. It is perl's, which every Debian has (perl-base is essential
 * there); a unit needs NotifyAccess=all for it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { StartSender } from "./notify.ts";

/**
 * Sends each text that ends with a NUL on standard input as one datagram. An address that begins with `@` is one of the
 * abstract namespace (unix(7)). The end of standard input ends it, and no signal to the whole unit does: the message
 * that the relay stops is still to be sent then.
 */
const program = String.raw`
use strict;
use Socket;
$SIG{$_} = "IGNORE" for qw(HUP INT TERM);
my $address = $ENV{NOTIFY_SOCKET};
$address =~ s/^\@/\0/;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "no socket for systemd: $!\n";
my $systemd = pack_sockaddr_un($address);
$/ = "\0";
while (my $message = <STDIN>) {
  chomp $message;
  defined(send($socket, $message, 0, $systemd)) or warn "systemd was not told: $!\n";
}
`;

/**
 * Makes what starts the helper. It gets none of the sockets that systemd passes: both runtimes keep to themselves what
 * they were started with.
 *
 * @param path where perl is looked for: the variable PATH
 */
export function perlSender(path: string | undefined): StartSender {
  return (address, lost) => {
    const child: ChildProcess = spawn("perl", ["-e", program], {
      env: { PATH: path, NOTIFY_SOCKET: address },
      stdio: ["pipe", "ignore", "inherit"],
    });
    let isGone = false;
    const gone = (why: string): void => {
      if (!isGone) lost(why);
      isGone = true;
    };
    child.on("error", (error) => gone(error.message));
    child.on("exit", (status, signal) => gone(`perl ended with ${signal ?? `status ${status}`}`));
    child.stdin?.on("error", () => {}); // Its exit follows.
    return {
      send: (message) => void child.stdin?.write(`${message}\0`),
      [Symbol.dispose]() {
        isGone = true; // As it is meant to be.
        child.stdin?.end();
      },
    };
  };
}
