// What can go wrong with a stream's blocks, for trying devices.

import type { StreamErrorCode } from "./stream-request.js";

/** One block that is about to be sent. */
export interface StreamBlock {
  readonly stream: string;
  readonly fileId: number;
  /** Number of the block in its file. */
  readonly index: number;
  readonly payload: Uint8Array;
}

/** `change`: one byte differs. `otherFile`: the number of another file, and not the bytes asked for. */
export type BlockFate = "send" | "drop" | "double" | "change" | "otherFile";

/** Several may hold at once. */
export interface StreamFaults {
  /** What becomes of each block; absent: `send`. */
  fate?(block: StreamBlock): BlockFate;
  /** The blocks of one request come last first. */
  readonly reorders?: boolean;
  /** Requests are not answered at all. */
  readonly isSilent?: boolean;
  /** Every request is rejected with this code. */
  readonly rejection?: StreamErrorCode;
}

/** What is sent in place of these blocks. */
export function afterFaults(blocks: readonly StreamBlock[], faults: StreamFaults): StreamBlock[] {
  const sent = blocks.flatMap(block => replaced(block, faults.fate?.(block) ?? "send"));
  return faults.reorders ? sent.reverse() : sent;
}

function replaced(block: StreamBlock, fate: BlockFate): StreamBlock[] {
  if (fate === "drop") return [];
  if (fate === "double") return [block, block];
  if (fate === "change") return [{ ...block, payload: changed(block.payload) }];
  if (fate !== "otherFile") return [block];
  return [{ ...block, fileId: block.fileId ^ 1, payload: changed(block.payload) }];
}

function changed(payload: Uint8Array): Uint8Array {
  const copy = payload.slice();
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
