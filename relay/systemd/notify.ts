/**
 * What the relay tells systemd of itself: sd_notify(3), and that its event loop goes on, sd_watchdog_enabled(3). Nothing
 * else feeds the watchdog, so that no stranger's flood or fault of a neighbour has it end the process.
 */

/** Tells whoever supervises the process; nobody where nobody wants to know. It never fails. */
export interface Notifier extends Disposable {
  /**
   * Says that everything listens. From now on the watchdog is fed, if there is one.
   *
   * @param status what `systemctl status` shows; one line
   */
  ready(status: string): void;
  /** Says that the relay has begun to stop. The watchdog is fed until the end. */
  stopping(): void;
}

/** Sends messages to one address until it is disposed of, or lost. */
export interface Sender extends Disposable {
  send(message: string): void;
}

/**
 * Starts what sends.
 *
 * @param address as in NOTIFY_SOCKET
 * @param lost is called when nothing can be sent any more
 */
export type StartSender = (address: string, lost: (why: string) => void) => Sender;

export interface NotifierOptions {
  /** Of this process. */
  readonly pid: number;
  readonly startSender: StartSender;
  readonly log: (line: string) => void;
  /** Does something again and again until it is disposed of. By default a timer that keeps no process alive. */
  readonly repeat?: (milliseconds: number, action: () => void) => Disposable;
}

/**
 * Makes the notifier of this process, and removes the variables that it is for: what this process starts has nothing to
 * tell. Nothing is started before there is something to say.
 *
 * @param env the process's environment itself, not a copy
 */
export function createNotifier(
  env: Record<string, string | undefined>,
  { pid, startSender, log, repeat = repeatByTimer }: NotifierOptions,
): Notifier {
  const { NOTIFY_SOCKET: address = "" } = env;
  const feedMs = feedingInterval(env, pid);
  for (const variable of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[variable];
  if (address === "") return silent;
  if (!/^[/@]/.test(address)) {
    log("NOTIFY_SOCKET is no unix address that the relay knows: systemd is told nothing");
    return silent;
  }
  const messenger = createMessenger((lost) => startSender(address, lost), log);
  let feeding: Disposable | undefined;
  return {
    ready(status) {
      messenger.send(`READY=1\nSTATUS=${status}`);
      if (feedMs !== undefined) feeding ??= repeat(feedMs, () => messenger.send("WATCHDOG=1"));
    },
    stopping() {
      messenger.send("STOPPING=1\nSTATUS=stopping");
    },
    [Symbol.dispose]() {
      feeding?.[Symbol.dispose]();
      messenger[Symbol.dispose]();
    },
  };
}

const silent: Notifier = { ready: () => {}, stopping: () => {}, [Symbol.dispose]: () => {} };

/** Feedings that a watchdog's time has room for: one may be late, and one lost. */
const feedings = 3;
/** The longest that a timer takes. */
const longestMs = 2 ** 31 - 1;

/** Milliseconds between two feedings; undefined without a watchdog, and for that of another process. */
function feedingInterval(env: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  const { WATCHDOG_USEC: limit = "", WATCHDOG_PID: receiver = "" } = env;
  if (receiver !== "" && receiver !== String(pid)) return undefined;
  if (!/^0*[1-9]\d*$/.test(limit)) return undefined;
  return Math.min(Number(limit) / 1_000 / feedings, longestMs);
}

/** Sends by one sender, and by another once that one is lost. The same reason is logged once in a row. */
function createMessenger(
  start: (lost: (why: string) => void) => Sender,
  log: (line: string) => void,
): Sender {
  let sender: Sender | undefined;
  let lastReason: string | undefined;
  const lose = (why: string): void => {
    sender = undefined;
    if (why !== lastReason) log(`systemd cannot be told how the relay does, until the next try: ${why}`);
    lastReason = why;
  };
  return {
    send(message) {
      try {
        sender ??= start(lose);
        sender.send(message);
      } catch (error) {
        lose(String(error));
      }
    },
    [Symbol.dispose]() {
      sender?.[Symbol.dispose]();
    },
  };
}

function repeatByTimer(milliseconds: number, action: () => void): Disposable {
  const timer = setInterval(action, milliseconds).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
