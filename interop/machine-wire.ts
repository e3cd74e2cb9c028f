/**
 * A network of its own between this machine and a virtual one. The ports that lead there otherwise are the emulator's: it
 * accepts each connection itself, and closes it if the machine does not, so that nobody is ever refused.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import type { DeliveryServer } from "./delivery-server.ts";
import type { VirtualMachine } from "./virtual-machine.ts";

/** Why there can be no such network here; undefined if there can. */
export const whyNoWire =
  process.getuid?.() === 0 && existsSync("/dev/net/tun")
    ? undefined
    : "a network between machines needs root and /dev/net/tun";

/** Of the range for tests of devices, RFC 2544; the first is this machine. */
const addresses = ["198.18.73.1", "198.18.73.2"] as const;
const prefix = 30;

/** Gives a machine a second interface. It is gone with the machine. @returns the machine's address on it */
export async function attachWire(machine: VirtualMachine, server: DeliveryServer): Promise<string> {
  const name = `derpkit${process.pid}`;
  const [here, there] = addresses;
  await machine.monitor(`netdev_add tap,id=wire,ifname=${name},script=no,downscript=no`);
  execFileSync("ip", ["address", "add", `${here}/${prefix}`, "dev", name]);
  execFileSync("ip", ["link", "set", name, "up"]);
  await machine.monitor("device_add virtio-net-pci,netdev=wire,id=wire");
  const said = await server.command(
    `until test -e /sys/class/net/eth1; do sleep 0.2; done
     ip address add ${there}/${prefix} dev eth1 && ip link set eth1 up && echo attached`,
  );
  if (!said.includes("attached")) throw new Error(`the machine has no second interface: ${said}`);
  return there;
}
