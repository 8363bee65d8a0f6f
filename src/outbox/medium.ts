// The partition: what is written is read back, what refuses is told by a value. Knows no records.
import { AgentError } from "../errors.js";
import type { Flash } from "../host.js";
import { limits } from "../limits.js";
import { isBlank } from "./format.js";

const chunkBytes = 128;

export class Medium {
  readonly blockLength: number;
  /** Whether less than a word can be written. */
  readonly takesBytes: boolean;
  readonly #flash: Flash;

  /** @throws AgentError "outbox/partition" for flash that the log's rules do not fit */
  constructor(flash: Flash) {
    const { blocks, blockLength, size, writeAlign = 1, eraseValue = 0xff } = flash.status();
    const fault = faultOf(blocks, blockLength, writeAlign, eraseValue);
    if (fault !== undefined || blocks * blockLength !== size) {
      const shape = `${blocks} blocks of ${blockLength} bytes, ${size} together`;
      throw new AgentError("outbox/partition", `outbox: ${shape}: ${fault ?? "do not add up"}`);
    }
    this.blockLength = blockLength;
    this.takesBytes = writeAlign === 1;
    this.#flash = flash;
  }

  get blocks(): number {
    return this.#flash.status().blocks;
  }

  /** @throws AgentError "outbox/flash" */
  read(bytes: Uint8Array, offset: number): void {
    try {
      this.#flash.read(bytes, offset);
    } catch (cause) {
      throw new AgentError("outbox/flash", `outbox: ${bytes.length} bytes at ${offset}: not read`, {
        cause,
      });
    }
  }

  /** @returns whether the bytes are there now. @throws AgentError "outbox/flash" when that cannot be read */
  write(bytes: Uint8Array, offset: number): boolean {
    try {
      this.#flash.write(bytes, offset);
    } catch {
      // What is there now tells.
    }
    const written = new Uint8Array(bytes.length);
    this.read(written, offset);
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== written[at]) return false;
    return true;
  }

  /** @returns whether the block is blank now */
  erase(block: number): boolean {
    try {
      this.#flash.eraseBlock(block);
    } catch {
      // What is there now tells.
    }
    const start = block * this.blockLength;
    return this.endOfData(start, start + this.blockLength) === start;
  }

  /** @returns the offset behind the last byte that is not blank between two offsets, or `from` */
  endOfData(from: number, to: number): number {
    const chunk = new Uint8Array(chunkBytes);
    for (let end = to; end > from; end -= chunkBytes) {
      const start = Math.max(from, end - chunkBytes);
      const bytes = end - start < chunkBytes ? new Uint8Array(end - start) : chunk;
      this.read(bytes, start);
      if (isBlank(bytes)) continue;
      let last = bytes.length - 1;
      while (bytes[last] === 0xff) last--;
      return start + last + 1;
    }
    return from;
  }

  /** @returns the first offset with a byte that is not blank, or `to` */
  startOfData(from: number, to: number): number {
    const chunk = new Uint8Array(chunkBytes);
    for (let start = from; start < to; start += chunkBytes) {
      const bytes = to - start < chunkBytes ? new Uint8Array(to - start) : chunk;
      this.read(bytes, start);
      for (let at = 0; at < bytes.length; at++) if (bytes[at] !== 0xff) return start + at;
    }
    return to;
  }

  close(): void {
    this.#flash.close();
  }
}

function faultOf(
  blocks: number,
  blockLength: number,
  writeAlign: number,
  eraseValue: number,
): string | undefined {
  if (eraseValue !== 0xff) return `erased bytes are ${eraseValue}, not 255`;
  if (4 % writeAlign !== 0)
    return `written in units of ${writeAlign}: done cannot be noted in place`;
  if (blockLength < 512 || blockLength > 32_768 || !Number.isInteger(Math.log2(blockLength)))
    return "a block is a power of 2, from 512 to 32,768";
  if (blocks > 0xffff) return "too many blocks";
  return blocks < limits.outboxBlocks ? `at least ${limits.outboxBlocks} blocks` : undefined;
}
