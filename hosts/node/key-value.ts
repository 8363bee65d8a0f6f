// Key-value storage on Node: a directory for each domain, a file for each key, replaced as a whole.

import * as nodeFiles from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../src/errors.js";
import type { KeyValue, KeyValueProvider } from "../../src/host.js";

/** The calls it makes, so that a test can cut the power at any of them. */
export type Files = Pick<
  typeof nodeFiles,
  | "closeSync"
  | "fsyncSync"
  | "mkdirSync"
  | "openSync"
  | "readdirSync"
  | "readFileSync"
  | "renameSync"
  | "rmSync"
  | "writeSync"
>;

const namePattern = /^[a-z0-9.-]{1,15}$/;
const maximumValueBytes = 4000;
// A suffix of our own: "." and ".." are names the contract allows.
const valueSuffix = ".value";
const temporarySuffix = ".new";

export function createKeyValue(directory: string, files: Files = nodeFiles): KeyValueProvider {
  return {
    open({ path }): KeyValue {
      checkName("domain", path);
      return new DirectoryKeyValue(join(directory, `${path}.domain`), path, files);
    },
  };
}

/** A value appears by `rename`: before it the old one is there, after it the new one, and never a part. */
class DirectoryKeyValue implements KeyValue {
  readonly #directory: string;
  readonly #name: string;
  readonly #files: Files;
  #closed = false;

  /** What a cut left half-written is removed here. */
  constructor(directory: string, name: string, files: Files) {
    this.#directory = directory;
    this.#name = name;
    this.#files = files;
    try {
      files.mkdirSync(directory, { recursive: true, mode: 0o700 });
      for (const entry of files.readdirSync(directory)) {
        if (entry.endsWith(temporarySuffix)) files.rmSync(join(directory, entry), { force: true });
      }
    } catch (cause) {
      throw failed(`cannot open directory ${directory}`, cause);
    }
  }

  read(key: string): ArrayBuffer | undefined {
    const file = this.#fileOf(key);
    try {
      const bytes = this.#files.readFileSync(file);
      return new Uint8Array(bytes).buffer;
    } catch (cause) {
      if (isAbsent(cause)) return undefined;
      throw new AgentError("storage/damaged", `key-value: cannot read ${file}: ${textOf(cause)}`, {
        cause,
      });
    }
  }

  write(key: string, value: Uint8Array): void {
    const file = this.#fileOf(key);
    if (value.length > maximumValueBytes) {
      throw failed(
        `${this.#name}/${key} has ${value.length} bytes, at most ${maximumValueBytes} fit`,
      );
    }
    const temporary = file + temporarySuffix;
    try {
      this.#writeNew(temporary, value);
      this.#files.renameSync(temporary, file);
      this.#syncDirectory();
    } catch (cause) {
      this.#discard(temporary);
      throw failed(`cannot write ${file}`, cause);
    }
  }

  delete(key: string): void {
    const file = this.#fileOf(key);
    try {
      this.#files.rmSync(file, { force: true });
      this.#syncDirectory();
    } catch (cause) {
      throw failed(`cannot delete ${file}`, cause);
    }
  }

  close(): void {
    this.#closed = true;
  }

  #writeNew(file: string, value: Uint8Array): void {
    const descriptor = this.#files.openSync(file, "w", 0o600);
    try {
      for (let offset = 0; offset < value.length; ) {
        offset += this.#files.writeSync(descriptor, value, offset);
      }
      this.#files.fsyncSync(descriptor);
    } finally {
      this.#files.closeSync(descriptor);
    }
  }

  /** A rename is durable once its directory is. */
  #syncDirectory(): void {
    const descriptor = this.#files.openSync(this.#directory, "r");
    try {
      this.#files.fsyncSync(descriptor);
    } finally {
      this.#files.closeSync(descriptor);
    }
  }

  #discard(file: string): void {
    try {
      this.#files.rmSync(file, { force: true });
    } catch {
      // The write's own failure is reported; what stays here is ignored and removed at the next open.
    }
  }

  #fileOf(key: string): string {
    if (this.#closed) throw failed(`${this.#name} is closed`);
    checkName("key", key);
    return join(this.#directory, key + valueSuffix);
  }
}

function checkName(what: string, name: string): void {
  if (!namePattern.test(name)) throw failed(`${what} "${name}" is not 1 to 15 of [a-z0-9.-]`);
}

function isAbsent(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException).code === "ENOENT";
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function failed(message: string, cause?: unknown): AgentError {
  const detail = cause === undefined ? "" : `: ${textOf(cause)}`;
  return new AgentError("storage/write", `key-value: ${message}${detail}`, { cause });
}
