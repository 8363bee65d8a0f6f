// An image in the making: the slot that does not run, and in its last block a journal of which blocks are there. It goes on at
// the first missing block after any cut, without a byte in any other place.
import { AgentError } from "../errors.js";
import type { Flash, Host, RunningDigest, TimerHandle } from "../host.js";
import { isEqual } from "../util/bytes.js";
import { crc32 } from "../util/crc32.js";
import type { Door } from "../wiring.js";

/** What is asked for, written and noted at a time; the last block of an image may be shorter. */
export const blockBytes = 4096;

/** Names what is staged; the same bytes for the same file, and for no other. */
export const identityBytes = 32;

const magic = 0x74614f53; // "SOat"
const version = 1;
/** Magic, version, block size, image size, identity, checksum; little-endian. A multiple of every mark's length. */
const headerBytes = 48;
const sumAt = headerBytes - 4;
/** What the digest takes from flash at a time, and in one turn of the timer. */
const readBytes = 2048;
const sliceBytes = 16_384;

export interface StagingOwner extends Door {
  readonly host: Pick<Host, "crypto" | "timer">;
}

/** A digest that is being made. */
interface Digesting {
  readonly digest: RunningDigest;
  readonly onDone: (digest: Uint8Array) => void;
  readonly onFault: (error: AgentError) => void;
  at: number;
  timer: TimerHandle | undefined;
}

/**
 * The journal is a header and one mark for each block: as many bytes as flash writes at least, zeroed once the block's own write
 * has returned, and read by majority. No word is ever written twice, which flash with encryption or error correction would not
 * take. Where there are not marks enough, one stands for several blocks.
 */
export class Staging {
  readonly #owner: StagingOwner;
  readonly #flash: Flash;
  /** Bytes of a mark. */
  readonly #unit: number;
  /** Where the journal starts, which is what an image can take. */
  readonly #capacity: number;
  #size = 0;
  #done = 0;
  /** A bit for each block that is there. */
  #bits = new Uint8Array(0);
  #digesting: Digesting | undefined;

  /**
   * @param flash the partition; `close` closes it
   * @throws AgentError "ota/slot" for flash that is erased, written or blank in another way than this can use
   */
  constructor(owner: StagingOwner, flash: Flash) {
    const { blocks, blockLength, size, writeAlign = 1, eraseValue = 0xff } = flash.status();
    const isUnit = writeAlign <= 16 && Number.isInteger(Math.log2(writeAlign));
    if (
      blockLength !== blockBytes ||
      blocks * blockLength !== size ||
      blocks < 2 ||
      !isUnit ||
      eraseValue !== 0xff
    ) {
      const shape = `${blocks} blocks of ${blockLength} bytes, ${size} together`;
      const rules = `written in ${writeAlign}s, erased to ${eraseValue}`;
      const wanted = `blocks of ${blockBytes} are needed, written in 1s to 16s, erased to 255`;
      throw new AgentError("ota/slot", `ota: ${shape}, ${rules}: ${wanted}`);
    }
    this.#owner = owner;
    this.#flash = flash;
    this.#unit = writeAlign;
    this.#capacity = size - blockBytes;
  }

  /** Bytes of the largest image that fits. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes of the image; 0 before `begin`. */
  get size(): number {
    return this.#size;
  }

  get blocks(): number {
    return Math.ceil(this.#size / blockBytes);
  }

  /** Blocks that are there. */
  get done(): number {
    return this.#done;
  }

  get isComplete(): boolean {
    return this.#size > 0 && this.#done === this.blocks;
  }

  isDone(index: number): boolean {
    return (this.#bits[index >> 3]! & (1 << (index & 7))) !== 0;
  }

  /** @returns the first block from `from` on that is missing, or `blocks` */
  nextMissing(from = 0): number {
    const { blocks } = this;
    let index = from;
    while (index < blocks && this.isDone(index)) index++;
    return index;
  }

  /** Bytes of a block: the last may be shorter. */
  lengthOf(index: number): number {
    return Math.min(blockBytes, this.#size - index * blockBytes);
  }

  /**
   * Goes on with the file when the slot holds part of this very one, else begins anew.
   *
   * @param identity  32 bytes
   * @param size      bytes of the image
   * @throws          AgentError "ota/image" when the slot is too small, "storage/damaged", "storage/write"
   */
  begin(identity: Uint8Array, size: number): void {
    this.cancel();
    this.forget();
    if (identity.length !== identityBytes || !Number.isSafeInteger(size) || size <= 0) {
      const what = `identity of ${identity.length} bytes, image of ${size}`;
      throw new AgentError("ota/image", `ota: ${what}: nothing that can be staged`);
    }
    if (size > this.#capacity) {
      const room = `the slot takes ${this.#capacity}`;
      throw new AgentError("ota/image", `ota: an image of ${size} bytes, ${room}`);
    }
    const header = headerOf(identity, size);
    const found = new Uint8Array(headerBytes);
    this.read(found, this.#capacity);
    const bits = new Uint8Array(Math.ceil(Math.ceil(size / blockBytes) / 8));
    const isResumed = isEqual(found, header);
    if (!isResumed) {
      this.eraseJournal();
      this.program(header, this.#capacity);
    }
    this.#size = size;
    this.#bits = bits;
    if (isResumed) this.readMarks();
  }

  /**
   * Written, read back and noted. A block that is there already is left as it is.
   *
   * @param bytes as many as the block has
   * @throws      AgentError "storage/write", "storage/damaged": whether it is there shows after the next `begin`;
   *              "agent/illegal-event" for a block of another length
   */
  write(index: number, bytes: Uint8Array): void {
    const isBlock = Number.isInteger(index) && index >= 0 && index < this.blocks;
    if (!isBlock || bytes.length !== this.lengthOf(index)) {
      const what = `block ${index} of ${this.blocks} with ${bytes.length} bytes`;
      throw new AgentError("agent/illegal-event", `ota: ${what} cannot be written`);
    }
    if (this.isDone(index)) return;
    this.erase(index);
    this.program(padded(bytes, this.#unit), index * blockBytes);
    this.compare(bytes, index * blockBytes);
    this.#bits[index >> 3]! |= 1 << (index & 7);
    this.#done++;
    this.mark(index);
  }

  /**
   * SHA-256 of what is in flash, all of it read back; some of it in each turn of the timer. Every block has to be there. One at
   * a time: an earlier one is cancelled.
   *
   * @param onFault "storage/damaged": flash cannot be read
   */
  digest(onDone: (digest: Uint8Array) => void, onFault: (error: AgentError) => void): void {
    this.cancel();
    if (!this.isComplete) {
      const { done, blocks } = this;
      throw new AgentError("agent/illegal-event", `ota: digest of ${done} blocks of ${blocks}`);
    }
    const digest = this.#owner.host.crypto.startDigest("SHA-256");
    this.#digesting = { digest, onDone, onFault, at: 0, timer: undefined };
    this.later(this.#digesting);
  }

  /** Ends a digest that is being made: neither callback follows. */
  cancel(): void {
    this.#owner.host.timer.clear(this.#digesting?.timer);
    this.#digesting = undefined;
  }

  /** Forgets what is staged: the journal is erased, and `begin` begins anew. @throws AgentError "storage/write" */
  clear(): void {
    this.cancel();
    this.forget();
    this.eraseJournal();
  }

  /** Lets go of the flash; what is staged stays there. */
  close(): void {
    this.cancel();
    this.forget();
    this.#flash.close();
  }

  private forget(): void {
    this.#size = 0;
    this.#done = 0;
    this.#bits = new Uint8Array(0);
  }

  // -- marks --

  /** Blocks that share a mark. */
  private get share(): number {
    return Math.ceil((this.blocks * this.#unit) / (blockBytes - headerBytes));
  }

  private mark(index: number): void {
    const share = this.share;
    const group = Math.floor(index / share);
    const end = Math.min(this.blocks, (group + 1) * share);
    for (let other = group * share; other < end; other++) if (!this.isDone(other)) return;
    this.program(new Uint8Array(this.#unit), this.#capacity + headerBytes + group * this.#unit);
  }

  private readMarks(): void {
    const { blocks } = this;
    const unit = this.#unit;
    const share = this.share;
    const groups = Math.ceil(blocks / share);
    const chunk = new Uint8Array(256);
    for (let at = 0; at < groups * unit; at += chunk.length) {
      const piece = chunk.subarray(0, Math.min(chunk.length, groups * unit - at));
      this.read(piece, this.#capacity + headerBytes + at);
      for (let i = 0; i < piece.length; i += unit) {
        if (!isMark(piece, i, unit)) continue;
        const first = ((at + i) / unit) * share;
        for (let index = first; index < Math.min(blocks, first + share); index++) {
          this.#bits[index >> 3]! |= 1 << (index & 7);
          this.#done++;
        }
      }
    }
  }

  // -- digest --

  private later(digesting: Digesting): void {
    const { timer } = this.#owner.host;
    digesting.timer = timer.set(() => this.#owner.enter(() => this.slice(digesting)), 0);
  }

  private slice(digesting: Digesting): void {
    if (digesting !== this.#digesting) return;
    const end = Math.min(this.#size, digesting.at + sliceBytes);
    const chunk = new Uint8Array(readBytes);
    try {
      while (digesting.at < end) {
        const piece = chunk.subarray(0, Math.min(readBytes, end - digesting.at));
        this.read(piece, digesting.at);
        digesting.digest.write(piece);
        digesting.at += piece.length;
      }
    } catch (error) {
      this.#digesting = undefined;
      digesting.onFault(error as AgentError);
      return;
    }
    if (digesting.at < this.#size) this.later(digesting);
    else {
      this.#digesting = undefined;
      digesting.onDone(digesting.digest.close());
    }
  }

  // -- flash --

  private read(into: Uint8Array, offset: number): void {
    try {
      this.#flash.read(into, offset);
    } catch (cause) {
      throw fault("storage/damaged", `${into.length} bytes at ${offset} not read`, cause);
    }
  }

  private program(bytes: Uint8Array, offset: number): void {
    try {
      this.#flash.write(bytes, offset);
    } catch (cause) {
      throw fault("storage/write", `${bytes.length} bytes at ${offset} not written`, cause);
    }
  }

  /** Worn flash takes what is written without a word: better told now than by the digest of all of it. */
  private compare(bytes: Uint8Array, offset: number): void {
    const chunk = new Uint8Array(256);
    for (let at = 0; at < bytes.length; at += chunk.length) {
      const length = Math.min(chunk.length, bytes.length - at);
      this.read(length < chunk.length ? chunk.subarray(0, length) : chunk, offset + at);
      for (let i = 0; i < length; i++) {
        if (chunk[i] !== bytes[at + i])
          throw fault("storage/write", `byte ${offset + at + i} reads back otherwise`, undefined);
      }
    }
  }

  private eraseJournal(): void {
    this.erase(this.#capacity / blockBytes);
  }

  private erase(block: number): void {
    try {
      this.#flash.eraseBlock(block);
    } catch (cause) {
      throw fault("storage/write", `block ${block} not erased`, cause);
    }
  }
}

function fault(code: "storage/damaged" | "storage/write", what: string, cause: unknown) {
  return new AgentError(code, `ota: slot: ${what}`, { cause });
}

function headerOf(identity: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint16(4, version, true);
  view.setUint16(6, blockBytes, true);
  view.setUint32(8, size, true);
  bytes.set(identity, 12);
  view.setUint32(sumAt, crc32(bytes, 0, sumAt), true);
  return bytes;
}

/** Filled up to what flash writes at least, with what an erase leaves. */
function padded(bytes: Uint8Array, unit: number): Uint8Array {
  const length = Math.ceil(bytes.length / unit) * unit;
  if (length === bytes.length) return bytes;
  const filled = new Uint8Array(length).fill(0xff);
  filled.set(bytes);
  return filled;
}

/** By majority, so that a bit that fell over brings no block, and loses none. */
function isMark(bytes: Uint8Array, at: number, unit: number): boolean {
  let ones = 0;
  for (let i = at; i < at + unit; i++)
    for (let rest = bytes[i]!; rest !== 0; rest &= rest - 1) ones++;
  return ones * 2 < unit * 8;
}
