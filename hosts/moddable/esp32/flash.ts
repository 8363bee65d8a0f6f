// Partitions of the ESP32's own flash, which takes any offset and length.
import flash from "embedded:storage/flash";
import type { Partition } from "skerry/hosts/bounded-flash";

/** @throws when the board's partition table has no data partition of that label */
export function openPartition(path: string, mode: "r" | "r+"): Partition {
  return flash.open({ path, mode });
}
