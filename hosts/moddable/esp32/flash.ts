// Partitions of the ESP32's own flash, which takes any offset and length.
import flash from "embedded:storage/flash";
import type { Partition } from "skerry/hosts/bounded-flash";
import { missing } from "skerry/hosts/moddable/boot/partition-table";
import { partitions } from "skerry/hosts/moddable/boot/partitions";

/** The SDK's name for the slot that does not run. */
const nextSlot = "nextota";

/** @throws when the board's partition table has no data partition of that label */
export function openPartition(path: string, mode: "r" | "r+"): Partition {
  const table = partitions();
  if (path !== nextSlot && !table.some(({ label }) => label === path))
    throw new Error(missing(path, table));
  return flash.open({ path, mode });
}
