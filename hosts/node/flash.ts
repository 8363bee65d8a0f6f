// Raw flash on Node: a partition is a file of its size, under the rules of NOR flash, synced whenever it changes.

import * as nodeFiles from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../src/errors.js";
import type { FlashProvider, FlashStatus } from "../../src/host.js";
import { BoundedFlash, type Partition } from "../bounded-flash.js";
import type { PartitionOptions, Partitions } from "./partitions.js";

export type { PartitionOptions, Partitions } from "./partitions.js";

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

/** As in the partition table of `hosts/moddable/esp32`: 256 KB. */
export const defaultPartitions: Partitions = Object.freeze({
  outbox: Object.freeze({ blocks: 64 }),
});

const labelPattern = /^[a-z0-9_-]{1,16}$/;
const blank = 0xff;
const mostBytes = 16 * 1024 * 1024;

export interface FlashMedium {
  /** Of every file's name; default ".bin". */
  readonly suffix?: string;
  readonly files?: FlashFiles;
}

/** @throws AgentError "agent/options" for a partition that cannot be */
export function createFlash(
  directory: string,
  partitions: Partitions = defaultPartitions,
  { suffix = ".bin", files = nodeFiles }: FlashMedium = {},
): FlashProvider {
  const shapes = new Map(
    Object.entries(partitions).map(([label, options]) => [label, statusOf(label, options)]),
  );
  const open = (label: string) => {
    const name = `flash-${label}${suffix}`;
    return new FilePartition(files, directory, name, label, shapes.get(label)!);
  };
  return new BoundedFlash(open, [...shapes.keys()]);
}

/** The bytes of a partition. Knows no rules of flash. */
class FilePartition implements Partition {
  readonly #files: FlashFiles;
  readonly #shape: FlashStatus;
  readonly #path: string;
  readonly #descriptor: number;

  /** @throws AgentError "storage/damaged" when what is there has another size: it is left as it is */
  constructor(
    files: FlashFiles,
    directory: string,
    name: string,
    label: string,
    shape: FlashStatus,
  ) {
    this.#files = files;
    this.#shape = shape;
    this.#path = join(directory, name);
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

  status(): FlashStatus {
    return this.#shape;
  }

  read(into: Uint8Array, offset: number): number {
    this.#work("storage/damaged", "read", () => {
      for (let done = 0; done < into.length; ) {
        const left = into.length - done;
        const count = this.#files.readSync(this.#descriptor, into, done, left, offset + done);
        if (count === 0) throw new Error(`it ends at ${offset + done}`);
        done += count;
      }
    });
    return into.length;
  }

  /** Synced when it returns. */
  write(bytes: Uint8Array, offset: number): void {
    this.#work("storage/write", "write", () => {
      writeAll(this.#files, this.#descriptor, bytes, offset);
      this.#files.fdatasyncSync(this.#descriptor);
    });
  }

  eraseBlock(first: number, end: number): void {
    const { blockLength } = this.#shape;
    this.write(new Uint8Array((end - first) * blockLength).fill(blank), first * blockLength);
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
