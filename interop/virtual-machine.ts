/**
 * A Debian 13 that boots with our user data, as a cloud would boot it: the scripts that DERPKIT_VM names the folder of, and
 * their image in DERPKIT_VM_IMAGE. To the machine 10.0.2.2 is this one's loopback.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";

const scripts = process.env["DERPKIT_VM"] ?? "";
const image = process.env["DERPKIT_VM_IMAGE"] ?? "";

/** Why no machine can be booted here; undefined if it can. */
export const whyNoMachine = existsSync(path.join(image, "complete"))
  ? existsSync(path.join(scripts, "boot.sh"))
    ? undefined
    : "there is no boot.sh: DERPKIT_VM does not name its folder"
  : "there is no image of a machine: DERPKIT_VM_IMAGE does not name its folder";

/** The volume, which is attached after the start. */
export const volumeDevice = "/dev/vdc";

export interface MachineOptions {
  readonly userData: string;
  /** Ports of this machine that lead to those of the other. */
  readonly tcp: Readonly<Record<number, number>>;
  readonly udp: Readonly<Record<number, number>>;
  /** A volume that an earlier machine had. */
  readonly volume?: string;
  /** Another name is another machine, for cloud-init. */
  readonly instance?: string;
}

/** The processor is emulated. */
const bootWithinSeconds = 600;

export class VirtualMachine implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Boots a machine, and waits until cloud-init has finished. @throws Error with the end of its console */
  static async boot({
    userData,
    tcp,
    udp,
    volume,
    instance = "i-1",
  }: MachineOptions): Promise<VirtualMachine> {
    const folder = mkdtempSync(path.join(tmpdir(), "derpkit-vm-"));
    const machine = new VirtualMachine(folder);
    const run = path.join(folder, "run");
    mkdirSync(run);
    writeFileSync(path.join(folder, "user-data"), userData);
    if (volume !== undefined) renameSync(volume, path.join(run, "data.img"));
    const forwards = [
      ...Object.entries(tcp).map(([here, there]) => `tcp:${here}:${there}`),
      ...Object.entries(udp).map(([here, there]) => `udp:${here}:${there}`),
    ];
    const child = spawn(
      path.join(scripts, "boot.sh"),
      [image, run, path.join(folder, "user-data"), ...forwards],
      {
        env: {
          ...process.env,
          DATA_DISK: "1G",
          DATA_DISK_AFTER: "30",
          INSTANCE_ID: instance,
          WAIT: String(bootWithinSeconds),
        },
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    const [status] = (await once(child, "exit")) as [number | null];
    if (status === 0) return machine;
    const said = machine.console().split("\n").slice(-40).join("\n");
    await machine[Symbol.asyncDispose]();
    throw new Error(`the machine did not boot\n${said}`);
  }

  /** Has the emulator do something. @throws Error with what it says, which it does only if it cannot */
  async monitor(command: string): Promise<void> {
    const socket = connect(path.join(this.#folder, "run", "monitor"));
    let said = "";
    socket.setEncoding("utf8").on("data", (text: string) => (said += text));
    const prompts = async (count: number): Promise<void> => {
      while (said.split("(qemu) ").length <= count) await once(socket, "data");
    };
    await prompts(1);
    socket.write(`${command}\n`);
    await prompts(2);
    socket.destroy();
    // It repeats the command, with the codes of a terminal.
    const answer = said.split("(qemu) ")[1]?.split("\n").slice(1).join("\n").trim() ?? "";
    if (answer !== "") throw new Error(`${command}: ${answer}`);
  }

  /** All that it has printed so far. */
  console(): string {
    return readFileSync(path.join(this.#folder, "run", "console.log"), "utf8");
  }

  /** Ends it as a power cut does. @returns its volume, which has to be removed or given to another */
  kill(): string {
    const file = path.join(this.#folder, "run", "pid");
    if (existsSync(file)) {
      try {
        process.kill(Number(readFileSync(file, "utf8")), "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    const kept = path.join(mkdtempSync(path.join(tmpdir(), "derpkit-volume-")), "data.img");
    const volume = path.join(this.#folder, "run", "data.img");
    if (existsSync(volume)) cpSync(volume, kept);
    return kept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(path.dirname(this.kill()), { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
