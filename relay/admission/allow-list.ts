/** Looks clients up in a file, which is read again when it has changed. */
import { type BigIntStats, constants } from "node:fs";
import { open } from "node:fs/promises";
import { describeFailure } from "./failure.ts";
import { type KeyList, parseKeyList } from "./key-list.ts";
import type { AdmissionMode, Applicant } from "./mode.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

/** At most so often the file is looked at, and only when somebody asks. */
const lookEveryMs = 1_000;
/** Some 200,000 keys. */
const maxBytes = 16_777_216n;

export interface AllowListOptions {
  readonly file: string;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

interface Look {
  readonly list: KeyList;
  /** The version of the file that the list comes from; undefined if it has to be read again anyway. */
  readonly version: string | undefined;
}

export class AllowList implements AdmissionMode {
  readonly name = "allow-list";
  readonly #options: AllowListOptions;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #look: Promise<Look> = Promise.resolve({ list: { trouble: "not read yet" }, version: undefined });

  constructor(options: AllowListOptions) {
    this.#options = options;
  }

  async check({ key }: Applicant): Promise<Verdict> {
    const { list } = await this.#current();
    if ("trouble" in list) return unknown(`${this.#options.file}: ${list.trouble}`);
    return list.keys.has(key.toString("hex")) ? allow : deny("the key is not on the allow-list");
  }

  reload(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /** One look follows the other, so that an older one never replaces a newer. */
  #current(): Promise<Look> {
    const now = this.#options.now();
    if (now - this.#lookedAt >= lookEveryMs) {
      this.#lookedAt = now;
      this.#look = this.#look.then((before) => look(this.#options.file, before));
    }
    return this.#look;
  }
}

async function look(file: string, before: Look): Promise<Look> {
  try {
    // Links are followed, as orchestrators place files by link; a FIFO must not keep us waiting.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat({ bigint: true });
    const version = versionOf(stat);
    if (version === before.version) return before;
    if (!stat.isFile()) return trouble("it is no file");
    if (stat.size > maxBytes) return trouble("it is larger than 16 MiB");
    // What is written from here on is a version of its own, which the next look finds.
    return { list: parseKeyList(await handle.readFile("utf8")), version };
  } catch (error) {
    return trouble(describeFailure(error));
  }
}

function trouble(reason: string): Look {
  return { list: { trouble: reason }, version: undefined };
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}
