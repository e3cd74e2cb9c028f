/**
 * The sockets that systemd opens for the relay and passes to it: sd_listen_fds(3). They outlive a restart, and whoever
 * connects in between waits in their queue. Pure.
 */
import { KitError } from "../errors.ts";

const socketNames = ["derp", "stun", "http"] as const;
/** What a socket is for: FileDescriptorName= in its unit. */
export type SocketName = (typeof socketNames)[number];

/** Descriptors of sockets that are open already, by what they are for. */
export type PassedSockets = Readonly<Partial<Record<SocketName, number>>>;

/** SD_LISTEN_FDS_START: the descriptors are numbered from here on, without gaps. */
const firstDescriptor = 3;

/**
 * Finds what is passed to this process, and removes the variables that say so: a process that this one starts must not
 * take the sockets for its own.
 *
 * @param env the process's environment itself, not a copy
 * @param pid of this process; what is passed to another one is not ours
 * @throws KitError `sockets-invalid` for a number, or for names, that say nothing to the relay
 */
export function takePassedSockets(env: Record<string, string | undefined>, pid: number): PassedSockets {
  const { LISTEN_PID: receiver, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env;
  for (const variable of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[variable];
  if (receiver !== String(pid) || count === undefined) return {};
  if (!/^\d+$/.test(count)) throw invalid(`LISTEN_FDS is no number: ${JSON.stringify(count)}.`);
  return nameSockets(Number(count), names);
}

function nameSockets(count: number, text = ""): PassedSockets {
  const names = text === "" ? [] : text.split(":");
  if (names.length !== count)
    throw invalid(`${count} sockets are passed, and ${names.length} names (LISTEN_FDNAMES).`);
  const unknown = names.find((name) => !isSocketName(name));
  if (unknown !== undefined) throw invalid(`A socket with the name ${JSON.stringify(unknown)} is passed.`);
  const doubled = names.find((name, index) => names.indexOf(name) !== index);
  if (doubled !== undefined) throw invalid(`More than one socket with the name ${doubled} is passed.`);
  return Object.fromEntries(names.map((name, index) => [name, firstDescriptor + index]));
}

function isSocketName(name: string): name is SocketName {
  return socketNames.some((known) => known === name);
}

function invalid(message: string): KitError {
  return new KitError("sockets-invalid", { where: "systemd", message });
}
