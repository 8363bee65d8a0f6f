// Keeps the cloud's records in a directory: one snapshot, and a journal of what changed since.
// Records are values: whoever changes one puts a new one.

import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { CloudError, messageOf, systemCode } from "./errors.js";
import { checkShape, damaged, makeDirectory, parseFile, readText, writeText } from "./files.js";

/** What a record of each kind must look like. */
export type RecordSchemas = Readonly<Record<string, v.GenericSchema>>;

export interface StoreOptions {
  /** Absent: memory only, for virtual worlds. */
  readonly directory?: string;
  readonly schemas: RecordSchemas;
  /** A write in the background failed; memory stays right and the next change tries again. */
  readonly onFailure: (error: CloudError) => void;
}

const snapshotName = "state.json";
const journalName = "state.journal";
/** The journal is folded into the snapshot when it has grown past this. */
const journalBytesMax = 4_194_304;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const anyRecord = v.custom<Record<string, unknown>>(isRecord, "Expected an object");
const snapshotSchema = v.object({ format: v.literal(1), records: anyRecord });
const batchSchema = v.array(v.tuple([v.string(), v.nullable(anyRecord)]));

export class Store {
  readonly #directory: string | undefined;
  readonly #schemas: RecordSchemas;
  readonly #onFailure: (error: CloudError) => void;
  readonly #records = new Map<string, unknown>();
  /** Bounded by the number of records: a record changed twice is written once. */
  readonly #dirty = new Set<string>();
  #journal: FileHandle | undefined;
  #journalBytes = 0;
  #writing: Promise<void> | undefined;

  private constructor(options: StoreOptions) {
    this.#directory = options.directory;
    this.#schemas = options.schemas;
    this.#onFailure = options.onFailure;
  }

  /** @throws CloudError "cloud/damaged-state", "cloud/unusable-directory", "cloud/write-failed" */
  static async open(options: StoreOptions): Promise<Store> {
    const store = new Store(options);
    if (options.directory !== undefined) await store.#load(options.directory);
    return store;
  }

  /** The checked records of one kind, by name. */
  list<S extends v.GenericSchema>(kind: string, _schema: S): [string, v.InferOutput<S>][] {
    const prefix = `${kind}/`;
    const found: [string, v.InferOutput<S>][] = [];
    for (const [key, value] of this.#records) {
      if (key.startsWith(prefix)) found.push([key.slice(prefix.length), value as v.InferOutput<S>]);
    }
    return found;
  }

  /** Cheap: the write follows soon, together with what else changed meanwhile. */
  put(kind: string, name: string, value: object): void {
    this.#change(`${kind}/${name}`, value);
  }

  remove(kind: string, name: string): void {
    this.#change(`${kind}/${name}`, undefined);
  }

  /** Resolves when everything put before is on disk. @throws CloudError "cloud/write-failed" */
  async saved(): Promise<void> {
    while (this.#dirty.size > 0 || this.#writing !== undefined) {
      await (this.#writing ?? this.#startWriting());
    }
  }

  /** A document of its own, such as keys. @throws CloudError "cloud/damaged-state" */
  async read<S extends v.GenericSchema>(
    name: string,
    schema: S,
  ): Promise<v.InferOutput<S> | undefined> {
    const path = this.path(name);
    const text = path === undefined ? undefined : await readText(path);
    return path === undefined || text === undefined ? undefined : parseFile(path, text, schema);
  }

  /** Durable when it resolves. */
  async write(name: string, value: object): Promise<void> {
    const path = this.path(name);
    if (path !== undefined) await writeText(path, `${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** Where a document is, for error messages; undefined in memory. */
  path(name: string): string | undefined {
    return this.#directory === undefined ? undefined : join(this.#directory, name);
  }

  async close(): Promise<void> {
    try {
      await this.saved();
    } finally {
      await this.#journal?.close();
      this.#journal = undefined;
    }
  }

  #change(key: string, value: object | undefined): void {
    if (value === undefined) this.#records.delete(key);
    else this.#records.set(key, value);
    if (this.#directory === undefined) return;
    this.#dirty.add(key);
    if (this.#writing === undefined) {
      this.#startWriting().catch((error: unknown) => this.#onFailure(asCloudError(error)));
    }
  }

  #startWriting(): Promise<void> {
    const writing = this.#writeDirty().finally(() => {
      this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }

  /** One line per batch, so that changes made together survive together. */
  async #writeDirty(): Promise<void> {
    await Promise.resolve(); // the whole batch of this turn goes into one line
    while (this.#dirty.size > 0) {
      const keys = [...this.#dirty];
      this.#dirty.clear();
      try {
        await this.#append(keys);
      } catch (cause) {
        for (const key of keys) this.#dirty.add(key);
        // Half a line may have been written: the next write makes a snapshot and an empty journal.
        this.#journalBytes = journalBytesMax;
        if (cause instanceof CloudError) throw cause;
        const path = this.path(journalName);
        const why = systemCode(cause) ?? messageOf(cause);
        const message = `The file ${path} cannot be written (${why}).`;
        throw new CloudError("cloud/write-failed", message, { cause });
      }
    }
  }

  async #append(keys: readonly string[]): Promise<void> {
    const batch = keys.map(key => [key, this.#records.get(key) ?? null]);
    const line = `${JSON.stringify(batch)}\n`;
    if (this.#journalBytes + line.length > journalBytesMax) return this.#compact();
    await this.#journal?.appendFile(line);
    await this.#journal?.datasync();
    this.#journalBytes += line.length;
  }

  /** A crash between the two leaves a journal whose last words the snapshot already holds: harmless. */
  async #compact(): Promise<void> {
    const path = this.path(snapshotName);
    if (path === undefined) return;
    const records = Object.fromEntries(this.#records);
    await writeText(path, `${JSON.stringify({ format: 1, records })}\n`);
    await this.#journal?.truncate(0);
    this.#journalBytes = 0;
  }

  async #load(directory: string): Promise<void> {
    await makeDirectory(directory);
    const snapshot = await readText(join(directory, snapshotName));
    if (snapshot !== undefined) this.#loadSnapshot(join(directory, snapshotName), snapshot);
    const path = join(directory, journalName);
    const journal = await readText(path);
    if (journal !== undefined) this.#loadJournal(path, journal);
    try {
      this.#journal = await open(path, "a", 0o600);
    } catch (cause) {
      const why = systemCode(cause) ?? messageOf(cause);
      const message = `The state directory ${directory} cannot be written (${why}): name a directory this user may write to.`;
      throw new CloudError("cloud/unusable-directory", message, { cause });
    }
    if (journal) await this.#compactOrClose();
  }

  async #compactOrClose(): Promise<void> {
    try {
      await this.#compact();
    } catch (error) {
      await this.#journal?.close();
      throw error;
    }
  }

  #loadSnapshot(path: string, text: string): void {
    const { records } = parseFile(path, text, snapshotSchema);
    for (const [key, value] of Object.entries(records)) this.#admit(path, key, value);
  }

  /** A last line without its end is a write that a crash cut short; nobody was told it had happened. */
  #loadJournal(path: string, text: string): void {
    const lines = text.split("\n").slice(0, -1);
    for (const [index, line] of lines.entries()) {
      const where = `line ${index + 1}`;
      for (const [key, value] of checkShape(
        path,
        parseLine(path, line, where),
        batchSchema,
        where,
      )) {
        if (value === null) this.#records.delete(key);
        else this.#admit(path, key, value);
      }
    }
  }

  #admit(path: string, key: string, value: unknown): void {
    const schema = this.#schemas[key.slice(0, Math.max(0, key.indexOf("/")))];
    if (schema === undefined) throw damaged(path, `${key}: no such kind of record`);
    this.#records.set(key, checkShape(path, value, schema, key));
  }
}

function parseLine(path: string, line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw damaged(path, `${where} is not JSON`, cause);
  }
}

function asCloudError(error: unknown): CloudError {
  if (error instanceof CloudError) return error;
  return new CloudError("cloud/write-failed", messageOf(error), { cause: error });
}
