/**
 * Looks clients up in a file, which is read again when it has changed.
 *
 * A list that cannot be read denies nobody, and the last one that could stands for those on it: clients come back all
 * the time, and a list that is broken for an hour must not cut off one after the other.
 */
import { type BigIntStats, constants } from "node:fs";
import { open } from "node:fs/promises";
import { describeFailure } from "../outbound/failure.ts";
import { type KeyList, parseKeyList } from "./key-list.ts";
import type { AdmissionMode, Applicant, ListState } from "./mode.ts";
import { allow, deny, unknown, type Verdict } from "./verdict.ts";

/** At most so often the file is looked at, and only when somebody asks. */
const lookEveryMs = 1_000;
/** Some 200,000 keys. */
const maxBytes = 16_777_216n;

export interface AllowListOptions {
  readonly file: string;
  /** How long the last good list stands for those on it while there is none: as long as a session may go unchecked. */
  readonly staleMs: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  readonly log: (line: string) => void;
}

/** What a look at the file found. */
interface Look {
  readonly list: KeyList;
  /** The version of the file that the list comes from; undefined if it has to be read again anyway. */
  readonly version: string | undefined;
}

/** A list that was good. */
interface Standing {
  readonly keys: ReadonlySet<string>;
  /** When it was last looked at. */
  readonly asOf: number;
}

export class AllowList implements AdmissionMode {
  readonly name = "allow-list";
  readonly #options: AllowListOptions;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #look: Promise<Look> = Promise.resolve({ list: { trouble: "not read yet" }, version: undefined });
  #last: Standing | undefined;
  /** What was said of the file last; undefined if all was well. */
  #trouble: string | undefined;
  #reads = 0;
  #failedReads = 0;

  constructor(options: AllowListOptions) {
    this.#options = options;
  }

  async check({ key }: Applicant): Promise<Verdict> {
    const hex = key.toString("hex");
    const { list } = await this.#current();
    if ("keys" in list) return list.keys.has(hex) ? allow : deny("the key is not on the allow-list");
    const { file, staleMs, now } = this.#options;
    const last = this.#last;
    const stands = last !== undefined && last.keys.has(hex) && now() - last.asOf <= staleMs;
    return stands ? { kind: "allow", asOf: last.asOf } : unknown(`${file}: ${list.trouble}`, "list");
  }

  get list(): ListState {
    const { keys, asOf } = this.#last ?? { keys: new Set(), asOf: undefined };
    return { keys: keys.size, asOf, reads: this.#reads, failedReads: this.#failedReads };
  }

  reload(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /** One look follows the other, so that an older one never replaces a newer. */
  #current(): Promise<Look> {
    const now = this.#options.now();
    if (now - this.#lookedAt >= lookEveryMs) {
      this.#lookedAt = now;
      this.#look = this.#look.then(async (before) => this.#note(await look(this.#options.file, before), now));
    }
    return this.#look;
  }

  /** Keeps what was good, and says when the file goes bad, for another reason too, and when it is good again. */
  #note(found: Look, now: number): Look {
    const { file, log } = this.#options;
    const trouble = "trouble" in found.list ? found.list.trouble : undefined;
    this.#reads++;
    if ("keys" in found.list) this.#last = { keys: found.list.keys, asOf: now };
    else this.#failedReads++;
    if (trouble !== this.#trouble) {
      log(
        trouble === undefined
          ? `the allow-list ${file} is read again`
          : `the allow-list ${file} is not used: ${trouble}`,
      );
    }
    this.#trouble = trouble;
    return found;
  }
}

async function look(file: string, before: Look): Promise<Look> {
  try {
    // Links are followed, as orchestrators place files by link; a FIFO must not keep us waiting.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat({ bigint: true });
    const version = versionOf(stat);
    if (version === before.version) return before;
    if (!stat.isFile()) return bad("it is no file");
    if (stat.size > maxBytes) return bad("it is larger than 16 MiB");
    // What is written from here on is a version of its own, which the next look finds.
    return { list: parseKeyList(await handle.readFile("utf8")), version };
  } catch (error) {
    return bad(describeFailure(error));
  }
}

function bad(reason: string): Look {
  return { list: { trouble: reason }, version: undefined };
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
}
