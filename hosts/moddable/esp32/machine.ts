// The ESP32's machine, through functions of ESP-IDF that the manifest names.
import FFI from "mc/ffi";
import { type ResetReason, resetReasonOf } from "skerry/hosts/moddable/reset-reason";
import { toHex } from "skerry/src/util/bytes";
import Time from "time";
import type { Retained } from "../../../src/host.js";

interface Native {
  esp_fill_random(buffer: ArrayBufferLike, length: number): void;
  esp_restart(): void;
  skerry_sleep(delayMs: number): void;
  skerry_retained_read(buffer: ArrayBufferLike, length: number): void;
  skerry_retained_write(buffer: ArrayBufferLike, length: number): void;
  esp_get_free_heap_size(): number;
  esp_reset_reason(): number;
  esp_efuse_mac_get_default(address: ArrayBufferLike): number;
}

const macBytes = 6;
/** As in `machine.c`. */
const retainedBytes = 64;

function library(): Native {
  return new FFI() as Native;
}

export function prepare(): void {
  // Nothing to prepare here.
}

/** The generator has its full entropy while the radio is on. @see ESP-IDF "Random Number Generation" */
export function fillRandom(buffer: ArrayBufferLike): void {
  library().esp_fill_random(buffer, buffer.byteLength);
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
  const address = new Uint8Array(macBytes);
  const status = library().esp_efuse_mac_get_default(address.buffer);
  if (status !== 0) throw new Error(`base address: error ${status}`);
  return toHex(address);
}
