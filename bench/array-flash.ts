// Flash in an array, for programs whose memory is counted: it stands in for what is no memory, and nothing of it crosses a bridge.
import type { Flash } from "../src/host.js";

const blockBytes = 4096;

/** Moves bytes and checks nothing: no more work than a host's native code leaves to JavaScript. */
export class ArrayFlash implements Flash {
  readonly #bytes: Uint8Array;

  constructor(blocks: number) {
    this.#bytes = new Uint8Array(blocks * blockBytes);
  }

  status() {
    const { length } = this.#bytes;
    return { size: length, blocks: length / blockBytes, blockLength: blockBytes };
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, offset: number): ArrayBuffer | number {
    if (typeof target === "number") return this.#bytes.slice(offset, offset + target).buffer;
    target.set(new Uint8Array(this.#bytes.buffer, offset, target.length));
    return target.length;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#bytes.set(bytes, offset);
  }

  eraseBlock(first: number): void {
    this.#bytes.fill(0xff, first * blockBytes, (first + 1) * blockBytes);
  }

  close(): void {}
}
