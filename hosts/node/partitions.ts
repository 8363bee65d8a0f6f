// What partitions there are. Apart from the files that hold them: a product for Moddable has no types of Node.

export interface PartitionOptions {
  readonly blocks: number;
  /** Bytes that are erased together, a power of 2; default 4096. */
  readonly blockLength?: number;
  /** 1, the default, 2, 4, 8 or 16. */
  readonly writeAlign?: number;
}

/** By label. */
export type Partitions = Readonly<Record<string, PartitionOptions>>;
