// The partition table that is on the board.
import FFI from "mc/ffi";
import { fromUtf8 } from "skerry/src/util/bytes";
import type { FoundPartition } from "./partition-table.js";

interface Native {
  skerry_partition(number: number, entry: ArrayBufferLike): number;
}

/** As in `machine.c`. */
const entryBytes = 28;
const labelBytes = 16;
/** More than ESP-IDF's table can hold. */
const most = 96;

export function partitions(): readonly FoundPartition[] {
  const native = new FFI() as Native;
  const found: FoundPartition[] = [];
  const entry = new Uint8Array(entryBytes);
  while (found.length < most && native.skerry_partition(found.length, entry.buffer) !== 0)
    found.push(parse(entry));
  return found;
}

function parse(entry: Uint8Array): FoundPartition {
  const end = entry.indexOf(0);
  const view = new DataView(entry.buffer);
  return {
    label: fromUtf8(entry, 0, end < 0 || end > labelBytes ? labelBytes : end),
    type: entry[16]!,
    subtype: entry[17]!,
    offset: view.getUint32(20, true),
    size: view.getUint32(24, true),
  };
}
