// Partitions of flash as files of their size. Cannot be preloaded, because the SDK's module for files cannot.
import files from "embedded:storage/files";
import type { Partition } from "skerry/hosts/bounded-flash";
import { simulatorBlocks } from "skerry/hosts/emulation/partitions";
import type { FlashStatus } from "skerry/src/host";

const root = ".skerry";
const blockLength = 4096;
const blank = 0xff;

type File = ReturnType<typeof files.openFile>;

export function openPartition(path: string, mode: "r" | "r+"): Partition {
  files.createDirectory(root);
  const name = `${root}/flash-${path}`;
  const blocks = simulatorBlocks[path]!;
  const size = blocks * blockLength;
  if (!files.status(name).isFile()) makeBlank(name, blocks);
  const file = files.openFile({ path: name, mode });
  const found = file.status().size;
  if (found === size) return new FilePartition(file, blocks);
  file.close();
  const expected = `${size} were expected (${blocks} blocks of ${blockLength})`;
  throw new Error(`${name} has ${found} bytes, ${expected}: nothing was changed`);
}

/** It appears as a whole. */
function makeBlank(name: string, blocks: number): void {
  const fresh = `${name}.new`;
  const file = files.openFile({ path: fresh, mode: "w" });
  try {
    fillBlank(file, 0, blocks);
    if (file.status().size !== blocks * blockLength)
      throw new Error(`${fresh}: cannot be written whole`);
    file.flush();
  } finally {
    file.close();
  }
  files.move(fresh, name);
}

function fillBlank(file: File, first: number, end: number): void {
  const bytes = new Uint8Array(blockLength).fill(blank);
  for (let block = first; block < end; block++) file.write(bytes, block * blockLength);
}

/** What has returned is on the disk. */
class FilePartition implements Partition {
  readonly #file: File;
  readonly #blocks: number;

  constructor(file: File, blocks: number) {
    this.#file = file;
    this.#blocks = blocks;
  }

  status(): FlashStatus {
    const blocks = this.#blocks;
    return { size: blocks * blockLength, blocks, blockLength, writeAlign: 1, eraseValue: blank };
  }

  read(into: Uint8Array, byteOffset: number): number {
    return this.#file.read(into, byteOffset);
  }

  write(bytes: Uint8Array, byteOffset: number): void {
    // A copy: the platform takes no bytes that lie in the firmware's image.
    this.#file.write(bytes.slice(), byteOffset);
    this.#file.flush();
  }

  eraseBlock(first: number, end: number): void {
    fillBlank(this.#file, first, end);
    this.#file.flush();
  }

  close(): void {
    this.#file.close();
  }
}
