/**
 * What is kept on this machine of pushes: what was pushed last, and the policy's text before each push. A policy holds no
 * secret of ours, but who may go where; its texts are for their owner's eyes.
 *
 *     <name>.base.json         our part as it was pushed last
 *     <name>.tried.json        our part of a push that has not been seen to arrive
 *     <name>-<time>.hujson     the policy before a push
 *     <name>-<time>.json       that push: the digest of the text that it wrote, and whose ids
 */
import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { isErrno, readIfThere, writeWhole } from "../../relay/config/files.ts";
import { KitError } from "../../relay/errors.ts";
import { type DerpPart, type RegionKey, renderPart } from "./derp-part.ts";
import { parsePart } from "./map-file.ts";

/** A push whose text before is kept. */
export interface KeptPush {
  /** Path of the text before it. */
  readonly file: string;
  readonly before: string;
  /** SHA-256 of the text that it wrote. */
  readonly pushed: string;
  readonly owned: ReadonlySet<RegionKey>;
}

/** What follows the name of a record: another name may begin with this one. */
const stamp = /^\d{4}-\d\d-\d\dT[\d.]+Z\.json$/;

const recordSchema = v.object({ pushed: v.string(), owned: v.array(v.string()) });

export class Keep {
  readonly #folder: string;
  readonly #name: string;
  readonly #now: () => Date;

  /** @param name of whatever is pushed from and to; it becomes part of file names */
  constructor(folder: string, name: string, now: () => Date = () => new Date()) {
    this.#folder = folder;
    this.#name = name;
    this.#now = now;
  }

  /** What we pushed last, and what we may have pushed since. */
  async readBases(): Promise<readonly DerpPart[]> {
    const parts = await Promise.all(["base", "tried"].map((kind) => this.#readPart(kind)));
    return parts.filter((part) => part !== undefined);
  }

  /** Keeps the text before a push, and what it is about to write. @returns the path of the text before */
  async begin(
    before: string,
    after: string,
    wanted: DerpPart,
    owned: ReadonlySet<RegionKey>,
  ): Promise<string> {
    const stem = `${this.#name}-${this.#now().toISOString().replaceAll(":", "")}`;
    const file = this.#path(`${stem}.hujson`);
    await this.#write(file, before);
    await this.#write(this.#path(`${stem}.json`), renderRecord(after, owned));
    await this.#write(this.#path(`${this.#name}.tried.json`), renderJson(renderPart(wanted)));
    return file;
  }

  /** A push surely did not arrive. */
  async withdraw(file: string): Promise<void> {
    for (const gone of [file, recordOf(file), this.#path(`${this.#name}.tried.json`)]) {
      await rm(gone, { force: true });
    }
  }

  /** A push arrived, and the policy reads so since. */
  async confirm(file: string, after: string, wanted: DerpPart, owned: ReadonlySet<RegionKey>): Promise<void> {
    await this.#write(recordOf(file), renderRecord(after, owned));
    await this.settle(wanted, owned);
  }

  /** The policy has our part as wanted. What was pushed of other ids stays known. */
  async settle(wanted: DerpPart, owned: ReadonlySet<RegionKey>): Promise<void> {
    const old = await this.#readPart("base");
    const others = <T>(all: ReadonlyMap<RegionKey, T> | undefined) =>
      [...(all ?? [])].filter(([id]) => !owned.has(id));
    const base = renderPart({
      ...wanted,
      regions: new Map([...others(old?.regions), ...wanted.regions]),
      scores: new Map([...others(old?.scores), ...wanted.scores]),
    });
    await this.#write(this.#path(`${this.#name}.base.json`), renderJson(base));
    await rm(this.#path(`${this.#name}.tried.json`), { force: true });
  }

  /** Pushes that can be taken back, the last one first. */
  async *listPushes(): AsyncGenerator<KeptPush> {
    const files = await readdir(this.#folder).catch((error: unknown) => {
      if (isErrno(error, "ENOENT")) return [];
      throw new KitError("file-unreadable", { where: this.#folder, cause: error });
    });
    const prefix = `${this.#name}-`;
    const records = files.filter((file) => file.startsWith(prefix) && stamp.test(file.slice(prefix.length)));
    for (const record of records.toSorted().toReversed()) {
      const file = this.#path(record.replace(/json$/, "hujson"));
      const [before, text] = await Promise.all([readIfThere(file), readIfThere(this.#path(record))]);
      if (before === undefined || text === undefined) continue;
      const { pushed, owned } = this.#parse(record, () => v.parse(recordSchema, JSON.parse(text)));
      yield { file, before, pushed, owned: new Set(owned) };
    }
  }

  /** A push was taken back. Its text stays. */
  async forget({ file }: KeptPush): Promise<void> {
    await rm(recordOf(file), { force: true });
  }

  async #readPart(kind: string): Promise<DerpPart | undefined> {
    const name = `${this.#name}.${kind}.json`;
    const text = await readIfThere(this.#path(name));
    return text === undefined ? undefined : parsePart(text, this.#path(name));
  }

  #parse<T>(name: string, parse: () => T): T {
    try {
      return parse();
    } catch (cause) {
      throw new KitError("file-unreadable", { where: this.#path(name), cause });
    }
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }

  async #write(file: string, text: string): Promise<void> {
    try {
      await writeWhole(file, text, 0o600);
    } catch (cause) {
      throw isErrno(cause) ? new KitError("file-unreadable", { where: file, cause }) : cause;
    }
  }
}

export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function recordOf(file: string): string {
  return file.replace(/hujson$/, "json");
}

function renderRecord(after: string, owned: ReadonlySet<RegionKey>): string {
  return renderJson({ pushed: digestOf(after), owned: [...owned] });
}

function renderJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
