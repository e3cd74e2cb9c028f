/** A UDP socket that somebody else has opened, such as systemd. */
import type { SocketType } from "node:dgram";
import { fstatSync, readFileSync } from "node:fs";

/** The sockets of IPv4 alone, proc(5). In this place it is there also for a unit with ProcSubset=pid. */
const ipv4Table = "/proc/self/net/udp";
/** Where a row has the number of the socket's inode. */
const inodeColumn = 9;

/**
 * Tells how a socket has to be spoken to. One of IPv6 that takes IPv4 as well, which systemd makes unless it is told
 * otherwise, is one of IPv6; and so is one that the system does not tell of.
 *
 * @param fd its descriptor
 */
export function typeOfPassed(fd: number): SocketType {
  try {
    return hasInode(readFileSync(ipv4Table, "utf8"), fstatSync(fd).ino) ? "udp4" : "udp6";
  } catch {
    return "udp6";
  }
}

/** Looks for a socket in a table of /proc/PID/net. */
export function hasInode(table: string, inode: number): boolean {
  return table.split("\n").some((row) => row.trim().split(/\s+/)[inodeColumn] === String(inode));
}
