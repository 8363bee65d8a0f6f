// What every partition of raw flash must do.

import type { TestFn } from "ava";
import type { Flash, FlashProvider } from "../../src/host.js";
import { assert, type ContractCase, register, same, sameBytes, thrown } from "./case.js";

/** A partition of at least four blocks, whatever is in it: each case erases what it uses. */
export interface FlashSubject {
  readonly flash: FlashProvider;
  readonly path: string;
}

const unit = 16;

/** Sixteen bytes, as no alignment asks for more. */
const pattern = (first: number) => Uint8Array.from({ length: unit }, (_, i) => (first + i) & 0xff);
const filled = (byte: number, length = unit) => new Uint8Array(length).fill(byte);

/** What cannot be done is said with this code: the agent tells it from a fault of its own. */
function refused(work: () => unknown, what: string): void {
  same(thrown(work, what).code, "storage/write", `the code for ${what}`);
}

function withFlash(work: (flash: Flash, blockLength: number, blocks: number) => void) {
  return ({ flash, path }: FlashSubject) => {
    const partition = flash.open({ path });
    try {
      const { blockLength, blocks } = partition.status();
      work(partition, blockLength, blocks);
    } finally {
      partition.close();
    }
  };
}

/** Erased, then each of the first blocks filled at both of its ends with its own number. */
function mark(flash: Flash, blockLength: number): void {
  flash.eraseBlock(0, 4);
  for (let block = 0; block < 4; block++) {
    flash.write(filled(block), block * blockLength);
    flash.write(filled(block), (block + 1) * blockLength - unit);
  }
}

/** @param expected what both ends of the first blocks are filled with */
function sameMarks(flash: Flash, blockLength: number, expected: readonly number[]): void {
  for (const [block, byte] of expected.entries()) {
    const start = block * blockLength;
    sameBytes(flash.read(unit, start), filled(byte), `the begin of block ${block}`);
    const end = start + blockLength - unit;
    sameBytes(flash.read(unit, end), filled(byte), `the end of block ${block}`);
  }
}

export const flashCases: readonly ContractCase<FlashSubject>[] = [
  {
    title: "the status adds up",
    run: withFlash(flash => {
      const { size, blocks, blockLength, writeAlign = 1, eraseValue = 0xff } = flash.status();
      assert(Number.isInteger(blocks) && blocks >= 4, `${blocks} blocks`);
      assert(Number.isInteger(Math.log2(blockLength)), `${blockLength} bytes in a block`);
      same(size, blocks * blockLength, "size");
      assert(unit % writeAlign === 0, `written in units of ${writeAlign}`);
      same(eraseValue, 0xff, "what an erased byte reads as");
    }),
  },
  {
    title: "an erased block is blank from its first byte to its last",
    run: withFlash((flash, blockLength) => {
      flash.eraseBlock(1);
      flash.write(filled(0), blockLength);
      flash.write(filled(0), 2 * blockLength - unit);
      flash.eraseBlock(1);
      const blank = new Uint8Array(flash.read(blockLength, blockLength)).every(
        byte => byte === 0xff,
      );
      assert(blank, "a byte is not blank");
    }),
  },
  {
    title: "what is written is read, by a length and into a buffer, from any offset",
    run: withFlash((flash, blockLength) => {
      flash.eraseBlock(0, 2);
      // Over a block's border.
      const at = blockLength - unit;
      flash.write(Uint8Array.of(...pattern(1), ...pattern(101)), at);
      const expected = Uint8Array.of(0xff, ...pattern(1), ...pattern(101), 0xff);
      sameBytes(flash.read(34, at - 1), expected, "by length");
      sameBytes(flash.read(5, at + 13), expected.subarray(14, 19), "a part");
      const buffer = filled(7, 40);
      same(flash.read(buffer.subarray(3, 37), at - 1), 34, "bytes read into a buffer");
      sameBytes(buffer, Uint8Array.of(7, 7, 7, ...expected, 7, 7, 7), "the buffer");
      same(flash.read(0, at).byteLength, 0, "bytes of nothing");
    }),
  },
  {
    title: "a view into a larger buffer is written, and nothing around it",
    run: withFlash((flash, blockLength) => {
      flash.eraseBlock(0);
      const bytes = Uint8Array.of(1, 2, 3, ...pattern(50), 4);
      flash.write(bytes.subarray(3, 3 + unit), 32);
      sameBytes(flash.read(unit, 32), pattern(50), "what was written");
      sameBytes(flash.read(unit, 16), filled(0xff), "before");
      sameBytes(flash.read(unit, 48), filled(0xff), "behind");
      flash.write(new Uint8Array(0), blockLength);
    }),
  },
  {
    title: "a write turns further bits to 0",
    run: withFlash(flash => {
      flash.eraseBlock(0);
      for (const byte of [0xff, 0xf7, 0x77, 0x21, 0x21, 0x20, 0]) {
        flash.write(filled(byte), 0);
        sameBytes(flash.read(unit, 0), filled(byte), `0x${byte.toString(16)}`);
      }
    }),
  },
  {
    title: "a 1 over a 0 is refused, wherever it stands, and nothing is written",
    run: withFlash((flash, blockLength) => {
      flash.eraseBlock(0, 2);
      const length = 20 * unit;
      const start = blockLength - 10 * unit;
      for (const at of [0, unit * 9, unit * 19]) flash.write(filled(0xfe), start + at);
      const before = new Uint8Array(flash.read(length, start));
      for (const at of [0, unit * 9 + 3, length - 1]) {
        const wrong = filled(0x50, length);
        wrong[at] = 0x51;
        refused(() => flash.write(wrong, start), `a rising bit in byte ${at}`);
        sameBytes(flash.read(length, start), before, "what was there");
      }
    }),
  },
  {
    title: "blocks are erased alone and in ranges, and their neighbours stay",
    run: withFlash((flash, blockLength) => {
      mark(flash, blockLength);
      sameMarks(flash, blockLength, [0, 1, 2, 3]);
      flash.eraseBlock(1, 1);
      sameMarks(flash, blockLength, [0, 1, 2, 3]);
      flash.eraseBlock(2);
      sameMarks(flash, blockLength, [0, 1, 0xff, 3]);
      flash.eraseBlock(0, 2);
      sameMarks(flash, blockLength, [0xff, 0xff, 0xff, 3]);
      flash.eraseBlock(3, 4);
      sameMarks(flash, blockLength, [0xff, 0xff, 0xff, 0xff]);
    }),
  },
  {
    title: "the last byte is as good as the first",
    run: withFlash((flash, blockLength, blocks) => {
      const at = blocks * blockLength - unit;
      flash.eraseBlock(blocks - 1, blocks);
      flash.write(pattern(7), at);
      sameBytes(flash.read(unit, at), pattern(7), "the last bytes");
      same(flash.read(0, at + unit).byteLength, 0, "bytes at the end");
    }),
  },
  {
    title: "what reaches outside is refused, and what is inside stays",
    run: withFlash((flash, blockLength, blocks) => {
      mark(flash, blockLength);
      const size = blocks * blockLength;
      const outside = [-1, -unit, size - unit + 1, size, size + unit, 2 ** 32, Number.NaN, 0.5];
      for (const at of outside) {
        const where = `${unit} bytes at ${at}`;
        refused(() => flash.read(unit, at), `read ${where}`);
        const buffer = filled(7);
        refused(() => flash.read(buffer, at), `read into a buffer ${where}`);
        sameBytes(buffer, filled(7), "the buffer");
        refused(() => flash.write(filled(0), at), `write ${where}`);
      }
      refused(() => flash.read(size + 1, 0), "read more than there is");
      refused(() => flash.read(-1, unit), "read less than nothing");
      for (const block of [-1, blocks, 2 ** 20, Number.NaN, 0.5])
        refused(() => flash.eraseBlock(block), `erase block ${block}`);
      for (const [first, end] of [
        [blocks - 1, blocks + 1],
        [-1, 2],
        [2, 1],
        [0, Number.NaN],
        [Number.NaN, 1],
        [0, 1.5],
        [0.5, 2],
      ] as const)
        refused(() => flash.eraseBlock(first, end), `erase blocks ${first} to ${end}`);
      sameMarks(flash, blockLength, [0, 1, 2, 3]);
    }),
  },
  {
    title: "where writes are aligned, others are refused",
    run: withFlash(flash => {
      const { writeAlign = 1 } = flash.status();
      flash.eraseBlock(0);
      if (writeAlign === 1) {
        flash.write(Uint8Array.of(1, 2, 3), 5);
        sameBytes(flash.read(5, 4), Uint8Array.of(0xff, 1, 2, 3, 0xff), "an odd place");
        return;
      }
      refused(() => flash.write(filled(0), 1), "an odd offset");
      refused(() => flash.write(filled(0, unit - 1), 0), "an odd length");
      flash.write(filled(0, writeAlign), writeAlign);
      sameBytes(flash.read(writeAlign, 0), filled(0xff, writeAlign), "before");
    }),
  },
  {
    title: "what was written is there when it is opened again, also while another has it open",
    run({ flash, path }) {
      const first = flash.open({ path });
      first.eraseBlock(0);
      first.write(pattern(3), 0);
      const second = flash.open({ path, mode: "r" });
      sameBytes(second.read(unit, 0), pattern(3), "in another opening");
      first.write(pattern(9), unit);
      sameBytes(second.read(unit, unit), pattern(9), "written since");
      first.close();
      second.close();
      const again = flash.open({ path, mode: "r+" });
      sameBytes(again.read(unit, 0), pattern(3), "opened again");
      again.close();
    },
  },
  {
    title: "a partition opened to read refuses to write and to erase",
    run({ flash, path }) {
      const writer = flash.open({ path });
      writer.eraseBlock(0);
      writer.write(pattern(3), 0);
      writer.close();
      const reader = flash.open({ path, mode: "r" });
      refused(() => reader.write(filled(0), 0), "a write");
      refused(() => reader.eraseBlock(0), "an erase");
      sameBytes(reader.read(unit, 0), pattern(3), "what was there");
      reader.close();
    },
  },
  {
    title: "a partition that was closed refuses, and is closed again without a word",
    run({ flash, path }) {
      const partition = flash.open({ path });
      partition.close();
      partition.close();
      refused(() => partition.read(unit, 0), "a read");
      refused(() => partition.read(filled(0), 0), "a read into a buffer");
      refused(() => partition.write(filled(0xff), 0), "a write");
      refused(() => partition.eraseBlock(0), "an erase");
    },
  },
  {
    title: "no other partition is opened, the machine's own least of all",
    run({ flash }) {
      const others = ["nowhere", "nvs", "otadata", "running", "ota_0", "ota_1", "xs"];
      const wrong = ["", "..", "../outbox", "a/b", "OUTBOX", "outbox ", "0123456789abcdefg", "ä"];
      for (const path of [...others, ...wrong])
        refused(() => flash.open({ path }), `partition "${path}"`);
    },
  },
];

export function flashContract(
  test: TestFn,
  label: string,
  open: () => FlashSubject | Promise<FlashSubject>,
): void {
  register(test, label, flashCases, open);
}
