// Raw flash on a platform's storage, with the bounds and rules of the contract checked here for every platform.
import { AgentError, type ErrorCode } from "../src/errors.js";
import type { Flash, FlashProvider, FlashStatus } from "../src/host.js";

/** What a platform brings, which may leave every check to `BoundedFlash`: it is never called outside of its bounds. */
export interface Partition {
  status(): FlashStatus;
  /** @returns how many bytes were read */
  read(into: Uint8Array, byteOffset: number): number;
  write(bytes: Uint8Array, byteOffset: number): void;
  eraseBlock(first: number, end: number): void;
  close(): void;
}

export type OpenPartition = (path: string, mode: "r" | "r+") => Partition;

/** What is there is compared in pieces of this size before anything is written over it. */
const pieceBytes = 128;

/**
 * What a partition throws is an AgentError, "storage/damaged" for a read and "storage/write" for everything else, unless
 * it is one already.
 */
export class BoundedFlash implements FlashProvider {
  readonly #openPartition: OpenPartition;
  readonly #labels: readonly string[];

  /** @param labels of the partitions that are Skerry's: no other is opened, such as the running image or the platform's own */
  constructor(openPartition: OpenPartition, labels: readonly string[]) {
    this.#openPartition = openPartition;
    this.#labels = labels;
  }

  open({ path, mode = "r+" }: { readonly path: string; readonly mode?: "r" | "r+" }): Flash {
    if (!this.#labels.includes(path)) {
      throw refused(`there is no partition ${JSON.stringify(path)} here`);
    }
    if (mode !== "r" && mode !== "r+") throw refused(`${path}: mode ${JSON.stringify(mode)}`);
    const partition = told("storage/write", `${path}: open`, () => this.#openPartition(path, mode));
    return new BoundedPartition(path, partition, mode === "r");
  }
}

class BoundedPartition implements Flash {
  readonly #label: string;
  readonly #status: FlashStatus;
  readonly #isReadOnly: boolean;
  #partition: Partition | undefined;

  constructor(label: string, partition: Partition, isReadOnly: boolean) {
    this.#label = label;
    this.#partition = partition;
    this.#isReadOnly = isReadOnly;
    this.#status = told("storage/damaged", `${label}: status`, () => partition.status());
  }

  status(): FlashStatus {
    return this.#status;
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, byteOffset: number): ArrayBuffer | number {
    const partition = this.#open();
    const length = typeof target === "number" ? target : target.length;
    this.#checkInside(length, byteOffset);
    const bytes = typeof target === "number" ? new Uint8Array(length) : target;
    this.#readInto(partition, bytes, byteOffset);
    return typeof target === "number" ? (bytes.buffer as ArrayBuffer) : length;
  }

  write(bytes: Uint8Array, byteOffset: number): void {
    const partition = this.#openToChange();
    this.#checkInside(bytes.length, byteOffset);
    const { writeAlign = 1 } = this.#status;
    if (byteOffset % writeAlign !== 0 || bytes.length % writeAlign !== 0) {
      throw this.#refused(`${bytes.length} bytes at ${byteOffset}, written in ${writeAlign}s`);
    }
    if (bytes.length === 0) return;
    this.#checkFalling(partition, bytes, byteOffset);
    const what = `${this.#label}: ${bytes.length} bytes at ${byteOffset}`;
    told("storage/write", what, () => partition.write(bytes, byteOffset));
  }

  eraseBlock(first: number, end: number = first + 1): void {
    const partition = this.#openToChange();
    const { blocks } = this.#status;
    const areCounts = Number.isInteger(first) && Number.isInteger(end);
    if (!areCounts || first < 0 || first > end || end > blocks) {
      throw this.#refused(`blocks ${first} to ${end}, there are ${blocks}`);
    }
    if (first === end) return;
    const what = `${this.#label}: erase of blocks ${first} to ${end}`;
    told("storage/write", what, () => partition.eraseBlock(first, end));
  }

  close(): void {
    this.#partition?.close();
    this.#partition = undefined;
  }

  /** The platforms' flash would keep the 0 without a word. */
  #checkFalling(partition: Partition, bytes: Uint8Array, byteOffset: number): void {
    const old = new Uint8Array(Math.min(pieceBytes, bytes.length));
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = old.subarray(0, bytes.length - at);
      this.#readInto(partition, piece, byteOffset + at);
      for (let i = 0; i < piece.length; i++) {
        if ((bytes[at + i]! & ~piece[i]!) === 0) continue;
        const [from, to] = [piece[i]!, bytes[at + i]!].map(byte => `0x${byte.toString(16)}`);
        throw this.#refused(`${to} over ${from} at ${byteOffset + at + i}: erase first`);
      }
    }
  }

  #readInto(partition: Partition, bytes: Uint8Array, byteOffset: number): void {
    if (bytes.length === 0) return;
    const what = `${this.#label}: ${bytes.length} bytes at ${byteOffset}`;
    told("storage/damaged", what, () => {
      const count = partition.read(bytes, byteOffset);
      if (count !== bytes.length) throw new Error(`only ${count} are there`);
    });
  }

  #open(): Partition {
    if (this.#partition === undefined) throw this.#refused("closed");
    return this.#partition;
  }

  #openToChange(): Partition {
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

  #refused(why: string): AgentError {
    return refused(`${this.#label}: ${why}`);
  }
}

function told<Result>(code: ErrorCode, what: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    throw new AgentError(code, `flash: ${what}: ${String(cause)}`, { cause });
  }
}

function refused(why: string): AgentError {
  return new AgentError("storage/write", `flash: ${why}`);
}
