// The ESP32's machine, through functions of ESP-IDF that the manifest names.
import FFI from "mc/ffi";
import { faultsOf } from "skerry/hosts/moddable/boot/partition-table";
import { partitions } from "skerry/hosts/moddable/boot/partitions";
import { describeMount } from "skerry/hosts/moddable/boot/storage-words";
import { type ResetReason, resetReasonOf } from "skerry/hosts/moddable/reset-reason";
import { toHex } from "skerry/src/util/bytes";
import Time from "time";
import type { Retained } from "../../../src/host.js";

interface Native {
  skerry_before_main(): number;
  skerry_storage_error(): number;
  skerry_storage_is_frozen(): number;
  skerry_random(buffer: ArrayBufferLike, length: number): number;
  esp_restart(): void;
  skerry_sleep(delayMs: number): void;
  skerry_retained_read(buffer: ArrayBufferLike, length: number): void;
  skerry_retained_write(buffer: ArrayBufferLike, length: number): void;
  esp_get_free_heap_size(): number;
  esp_reset_reason(): number;
  esp_efuse_mac_get_default(address: ArrayBufferLike): number;
}

const macBytes = 6;
/** What some versions of ESP-IDF write on chips with IEEE 802.15.4: the address and its extension. */
const longMacBytes = 8;
/** As in `machine.c`. */
const retainedBytes = 64;

function library(): Native {
  return new FFI() as Native;
}

/** Says on the console what is amiss with this board's flash; what needs it says so again, as an error. */
export function prepare(): void {
  const native = library();
  // Has been called long before, unless the product has taken the place where the manifest has it called.
  native.skerry_before_main();
  const mount = describeMount(
    native.skerry_storage_error(),
    native.skerry_storage_is_frozen() !== 0,
  );
  if (mount !== undefined) trace(`skerry: ${mount}\n`);
  for (const fault of faultsOf(partitions())) trace(`skerry: partition table: ${fault}\n`);
}

/**
 * True random numbers only: from the hardware while the radio feeds it, before that from what was drawn at the start.
 *
 * @throws when the radio is off, and what was drawn at the start is used up
 * @see ESP-IDF "Random Number Generation"
 */
export function fillRandom(buffer: ArrayBufferLike): void {
  if (library().skerry_random(buffer, buffer.byteLength) !== 0)
    throw new Error(`random: ${buffer.byteLength} bytes are not to be had before Wi-Fi is on`);
}

/** Milliseconds on a 32-bit counter whose differences `elapsed` tells. */
export function ticks(): number {
  return Time.ticks;
}

export function elapsed(start: number, end: number): number {
  return Time.delta(start, end);
}

export function restart(): void {
  library().esp_restart();
}

/** Deep sleep: does not return. */
export const sleep: ((delayMs: number) => void) | undefined = delayMs => {
  library().skerry_sleep(Math.max(0, delayMs));
};

/** RTC memory: it survives deep sleep and a restart. */
export const retained: Retained | undefined = Object.freeze({
  read: () => {
    const bytes = new Uint8Array(retainedBytes);
    library().skerry_retained_read(bytes.buffer, retainedBytes);
    return bytes;
  },
  write: (bytes: Uint8Array) => {
    const copy = bytes.slice(0, retainedBytes);
    library().skerry_retained_write(copy.buffer, copy.length);
  },
});

export function resetReason(): ResetReason {
  return resetReasonOf(library().esp_reset_reason());
}

export function freeHeapBytes(): number | undefined {
  return library().esp_get_free_heap_size();
}

/** The base address burnt in by the maker. @throws when it cannot be read */
export function boardId(): string | undefined {
  const address = new Uint8Array(longMacBytes);
  const status = library().esp_efuse_mac_get_default(address.buffer);
  if (status !== 0) throw new Error(`base address: error ${status}`);
  return toHex(address.subarray(0, macBytes));
}
