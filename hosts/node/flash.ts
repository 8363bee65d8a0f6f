// Raw flash on Node: a partition is a file of its size, under the rules of NOR flash, synced whenever it changes.

import * as nodeFiles from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../src/errors.js";
import type { Flash, FlashProvider, FlashStatus } from "../../src/host.js";

/** The calls it makes, so that a test can cut the power at any of them. */
export type FlashFiles = Pick<
  typeof nodeFiles,
  | "closeSync"
  | "fdatasyncSync"
  | "fstatSync"
  | "fsyncSync"
  | "mkdirSync"
  | "openSync"
  | "readSync"
  | "renameSync"
  | "rmSync"
  | "writeSync"
>;

export interface PartitionOptions {
  readonly blocks: number;
  /** Bytes that are erased together, a power of 2; default 4096. */
  readonly blockLength?: number;
  /** 1, the default, 2, 4, 8 or 16. */
  readonly writeAlign?: number;
}

/** By label. */
export type Partitions = Readonly<Record<string, PartitionOptions>>;

/** As in the partition table of `hosts/moddable/esp32`: 256 KB. */
export const defaultPartitions: Partitions = Object.freeze({
  outbox: Object.freeze({ blocks: 64 }),
});

const labelPattern = /^[a-z0-9_-]{1,16}$/;
const blank = 0xff;
const mostBytes = 16 * 1024 * 1024;

/** @throws AgentError "agent/options" for a partition that cannot be */
export function createFlash(
  directory: string,
  partitions: Partitions = defaultPartitions,
  files: FlashFiles = nodeFiles,
): FlashProvider {
  const shapes = new Map(
    Object.entries(partitions).map(([label, options]) => [label, statusOf(label, options)]),
  );
  return {
    open({ path, mode = "r+" }): Flash {
      const shape = shapes.get(path);
      if (shape === undefined) throw refused(`there is no partition ${JSON.stringify(path)}`);
      if (mode !== "r" && mode !== "r+") throw refused(`${path}: mode ${JSON.stringify(mode)}`);
      const file = new PartitionFile(files, directory, path, shape);
      return new FilePartition(file, path, shape, mode === "r");
    },
  };
}

class FilePartition implements Flash {
  readonly #label: string;
  readonly #status: FlashStatus;
  readonly #isReadOnly: boolean;
  #file: PartitionFile | undefined;

  constructor(file: PartitionFile, label: string, status: FlashStatus, isReadOnly: boolean) {
    this.#file = file;
    this.#label = label;
    this.#status = status;
    this.#isReadOnly = isReadOnly;
  }

  status(): FlashStatus {
    return this.#status;
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, byteOffset: number): ArrayBuffer | number {
    const file = this.#open();
    const length = typeof target === "number" ? target : target.length;
    this.#checkInside(length, byteOffset);
    const bytes = typeof target === "number" ? new Uint8Array(length) : target;
    file.read(bytes, byteOffset);
    return typeof target === "number" ? (bytes.buffer as ArrayBuffer) : length;
  }

  write(bytes: Uint8Array, byteOffset: number): void {
    const file = this.#openToChange();
    this.#checkInside(bytes.length, byteOffset);
    const { writeAlign = 1 } = this.#status;
    if (byteOffset % writeAlign !== 0 || bytes.length % writeAlign !== 0) {
      throw this.#refused(`${bytes.length} bytes at ${byteOffset}, written in ${writeAlign}s`);
    }
    const old = new Uint8Array(bytes.length);
    file.read(old, byteOffset);
    const rising = bytes.findIndex((byte, at) => (byte & ~old[at]!) !== 0);
    if (rising >= 0) {
      const [from, to] = [old[rising]!, bytes[rising]!].map(byte => `0x${byte.toString(16)}`);
      throw this.#refused(`${to} over ${from} at ${byteOffset + rising}: erase first`);
    }
    file.write(bytes, byteOffset);
  }

  eraseBlock(first: number, end: number = first + 1): void {
    const file = this.#openToChange();
    const { blocks, blockLength } = this.#status;
    if (!(Number.isInteger(first) && Number.isInteger(end) && 0 <= first && first <= end)) {
      throw this.#refused(`blocks ${first} to ${end}`);
    }
    if (end > blocks) throw this.#refused(`blocks ${first} to ${end}, there are ${blocks}`);
    if (first === end) return;
    file.write(new Uint8Array((end - first) * blockLength).fill(blank), first * blockLength);
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): PartitionFile {
    if (this.#file === undefined) throw this.#refused("closed");
    return this.#file;
  }

  #openToChange(): PartitionFile {
    if (this.#isReadOnly) throw this.#refused("opened to read");
    return this.#open();
  }

  #checkInside(length: number, offset: number): void {
    const { size } = this.#status;
    const areCounts = Number.isInteger(offset) && Number.isInteger(length);
    if (!areCounts || offset < 0 || length < 0 || offset + length > size) {
      throw this.#refused(`${length} bytes at ${offset}, there are ${size}`);
    }
  }

  #refused(what: string): AgentError {
    return refused(`${this.#label}: ${what}`);
  }
}

/** The bytes of a partition. Knows no rules of flash. */
class PartitionFile {
  readonly #files: FlashFiles;
  readonly #path: string;
  readonly #descriptor: number;

  /** @throws AgentError "storage/damaged" when what is there has another size: it is left as it is */
  constructor(files: FlashFiles, directory: string, label: string, shape: FlashStatus) {
    this.#files = files;
    this.#path = join(directory, `flash-${label}.bin`);
    this.#descriptor = this.#work("storage/write", "open", () =>
      this.#openOrMake(directory, shape),
    );
    const found = this.#work("storage/damaged", "open", () => files.fstatSync(this.#descriptor));
    if (found.size === shape.size) return;
    this.close();
    const { size, blocks, blockLength } = shape;
    const expected = `${size} were expected (${blocks} blocks of ${blockLength})`;
    throw new AgentError(
      "storage/damaged",
      `flash: ${label}: ${this.#path} has ${found.size} bytes, ${expected}: nothing was changed`,
    );
  }

  read(into: Uint8Array, offset: number): void {
    this.#work("storage/damaged", "read", () => {
      for (let done = 0; done < into.length; ) {
        const left = into.length - done;
        const count = this.#files.readSync(this.#descriptor, into, done, left, offset + done);
        if (count === 0) throw new Error(`it ends at ${offset + done}`);
        done += count;
      }
    });
  }

  /** Synced when it returns. */
  write(bytes: Uint8Array, offset: number): void {
    this.#work("storage/write", "write", () => {
      writeAll(this.#files, this.#descriptor, bytes, offset);
      this.#files.fdatasyncSync(this.#descriptor);
    });
  }

  close(): void {
    this.#files.closeSync(this.#descriptor);
  }

  #openOrMake(directory: string, shape: FlashStatus): number {
    try {
      return this.#files.openSync(this.#path, "r+");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    }
    this.#files.mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#make(directory, shape.size);
    return this.#files.openSync(this.#path, "r+");
  }

  /** It appears by `rename`, as long as it has to be: a cut leaves none of it, or all. */
  #make(directory: string, size: number): void {
    const temporary = `${this.#path}.new`;
    const descriptor = this.#files.openSync(temporary, "w", 0o600);
    try {
      writeAll(this.#files, descriptor, new Uint8Array(size).fill(blank), 0);
      this.#files.fsyncSync(descriptor);
    } finally {
      this.#files.closeSync(descriptor);
    }
    this.#files.renameSync(temporary, this.#path);
    const folder = this.#files.openSync(directory, "r");
    try {
      this.#files.fsyncSync(folder);
    } finally {
      this.#files.closeSync(folder);
    }
  }

  #work<Result>(
    code: "storage/damaged" | "storage/write",
    what: string,
    work: () => Result,
  ): Result {
    try {
      return work();
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new AgentError(code, `flash: cannot ${what} ${this.#path}: ${detail}`, { cause });
    }
  }
}

function writeAll(files: FlashFiles, descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += files.writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
  }
}

function statusOf(label: string, options: PartitionOptions): FlashStatus {
  const { blocks, blockLength = 4096, writeAlign = 1 } = options;
  const size = blocks * blockLength;
  const isPower = Number.isInteger(Math.log2(blockLength)) && blockLength >= 16;
  const isShape = Number.isInteger(blocks) && blocks > 0 && isPower && size <= mostBytes;
  if (!labelPattern.test(label)) {
    throw impossible(`label ${JSON.stringify(label)} is not 1 to 16 of [a-z0-9_-]`);
  }
  if (!isShape) throw impossible(`${label}: ${blocks} blocks of ${blockLength} bytes`);
  if (![1, 2, 4, 8, 16].includes(writeAlign)) throw impossible(`${label}: writes of ${writeAlign}`);
  return Object.freeze({ size, blocks, blockLength, writeAlign, eraseValue: blank });
}

function impossible(why: string): AgentError {
  return new AgentError("agent/options", `flash: ${why}`);
}

function refused(why: string): AgentError {
  return new AgentError("storage/write", `flash: ${why}`);
}
