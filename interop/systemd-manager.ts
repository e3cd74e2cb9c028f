/**
 * What systemd does for a service, done by a small program: it opens the sockets and passes them to one process after the
 * other, and listens to what they say. Python can do both, and tells who has sent a message.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";

/** What happens, in order. */
export type ManagerEvent =
  | { readonly kind: "started"; readonly pid: number }
  /** A message, and the process that sent it. */
  | { readonly kind: "told"; readonly text: string; readonly pid: number }
  | { readonly kind: "ended"; readonly status: number };

export interface ManagerOptions {
  /** Where the sockets are bound: `::` takes IPv4 as well. */
  readonly address: "::" | "127.0.0.1";
  /** NOTIFY_SOCKET: a path, or a name behind `@`. */
  readonly notify: string;
  /** Names of the sockets by their kind, in the order in which they are passed. */
  readonly sockets: readonly (readonly [name: string, kind: "tcp" | "udp"])[];
}

export interface Manager {
  /** By the sockets' names. */
  readonly ports: Readonly<Record<string, number>>;
  /** What the service has written to standard error. */
  log(): string;
  /** Starts the service. @returns its process id */
  start(command: readonly string[], env: Readonly<Record<string, string>>): Promise<number>;
  /** Sends it SIGTERM. @returns its exit status, below 0 for a signal */
  stop(): Promise<number>;
  /** Waits until it ends by itself. @returns its exit status */
  ended(): Promise<number>;
  /** The next message that begins so, those in between are dropped. */
  told(beginning: string): Promise<{ readonly text: string; readonly pid: number }>;
}

const program = String.raw`
import fcntl, json, os, select, signal, socket, struct, sys

address, notify_address, wanted = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def say(**event):
    print(json.dumps(event), flush=True)

def open_socket(kind):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    opened.bind((address, 0))
    if kind == "tcp":
        opened.listen(4096)
    return opened

sockets = [(name, open_socket(kind)) for name, kind in wanted]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
notify.bind("\0" + notify_address[1:] if notify_address.startswith("@") else notify_address)
say(ports={name: opened.getsockname()[1] for name, opened in sockets})

def start(command, env):
    pid = os.fork()
    if pid:
        return pid
    copies = [fcntl.fcntl(opened.fileno(), fcntl.F_DUPFD, 64) for _, opened in sockets]
    for number, copy in enumerate(copies):
        os.dup2(copy, 3 + number, inheritable=True)
        os.close(copy)
    own = str(os.getpid())
    names = ":".join(name for name, _ in sockets)
    env = dict(env, LISTEN_PID=own, LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names, NOTIFY_SOCKET=notify_address)
    if "WATCHDOG_USEC" in env:
        env["WATCHDOG_PID"] = own
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.execve(command[0], command, env)

service, commands = None, b""
while True:
    readable, _, _ = select.select([0, notify], [], [], 0.02)
    if notify in readable:
        text, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(12))
        sender, _, _ = struct.unpack("iII", ancillary[0][2][:12])
        say(kind="told", text=text.decode(), pid=sender)
        continue
    if service is not None:
        pid, status = os.waitpid(service, os.WNOHANG)
        if pid:
            service = None
            say(kind="ended", status=os.waitstatus_to_exitcode(status))
    if 0 in readable:
        read = os.read(0, 65536)
        if not read:
            break
        *lines, commands = (commands + read).split(b"\n")
        for command in map(json.loads, lines):
            if "start" in command:
                service = start(command["start"], command["env"])
                say(kind="started", pid=service)
            elif service is not None:
                os.kill(service, signal.SIGTERM)
if service is not None:
    os.kill(service, signal.SIGKILL)
`;

/** Why this machine has no manager; false if it has one. */
export function whyNoManager(): string | false {
  if (process.platform !== "linux") return "systemd is there on Linux alone";
  const missing = ["python3", "perl"].filter((name) => spawnSync(name, ["-v"]).status !== 0);
  return missing.length === 0 ? false : `there is no ${missing.join(", no ")}`;
}

/** Starts a manager, which ends with the test and takes its service along. */
export async function startManager(t: TestContext, options: ManagerOptions): Promise<Manager> {
  const { address, notify, sockets } = options;
  const child = spawn("python3", ["-c", program, address, notify, JSON.stringify(sockets)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  t.after(() => endOf(child));
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async <T>(): Promise<T> => {
    const { value } = await lines.next();
    if (value === undefined) throw new Error(`the manager ended:\n${log}`);
    return JSON.parse(value) as T;
  };
  const { ports } = await read<{ readonly ports: Readonly<Record<string, number>> }>();
  const next = async <K extends ManagerEvent["kind"]>(
    kind: K,
    isIt: (event: Extract<ManagerEvent, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<ManagerEvent, { kind: K }>> => {
    for (;;) {
      const event = await read<ManagerEvent>();
      if (event.kind === kind && isIt(event as Extract<ManagerEvent, { kind: K }>))
        return event as Extract<ManagerEvent, { kind: K }>;
      if (event.kind === "ended") throw new Error(`the service ended with ${event.status}:\n${log}`);
    }
  };
  const order = (command: object): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  return {
    ports,
    log: () => log,
    async start(command, env) {
      order({ start: command, env });
      return (await next("started")).pid;
    },
    async stop() {
      order({ stop: true });
      return (await next("ended")).status;
    },
    ended: async () => (await next("ended")).status,
    told: (beginning) => next("told", ({ text }) => text.startsWith(beginning)),
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  const ended = once(child, "close");
  child.stdin?.end();
  if (child.exitCode === null) await ended;
}
