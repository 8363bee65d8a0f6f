// The desktop simulator's machine.
import FFI from "mc/ffi";
import { restartStatus } from "skerry/hosts/emulation/partitions";
import type { Retained } from "../../../src/host.js";

interface Native {
  skerry_random(buffer: ArrayBufferLike, length: number): number;
  skerry_ticks(): number;
  skerry_prepare(): void;
  skerry_exit(status: number): void;
  skerry_is_booted(): number;
}

function library(): Native {
  return new FFI() as Native;
}

export function prepare(): void {
  library().skerry_prepare();
}

/** @param buffer at most 256 bytes. @throws when the system generator refuses. */
export function fillRandom(buffer: ArrayBufferLike): void {
  if (library().skerry_random(buffer, buffer.byteLength) !== 0) throw new Error("random: refused");
}

/** Milliseconds on a counter whose differences `elapsed` tells. */
export function ticks(): number {
  return library().skerry_ticks();
}

export function elapsed(start: number, end: number): number {
  return end - start;
}

export function restart(): void {
  library().skerry_exit(restartStatus);
}

/** Whether a bootloader has started this process. */
export function isBooted(): boolean {
  return library().skerry_is_booted() !== 0;
}

/** A process that sleeps would be a process that has ended. */
export const sleep: ((delayMs: number) => void) | undefined = undefined;

export const retained: Retained | undefined = undefined;

/** A desktop process has no bound worth telling. */
export function freeHeapBytes(): number | undefined {
  return undefined;
}

/** A simulator has no number of its own. */
export function boardId(): string | undefined {
  return undefined;
}

/** A process does not know whether another one has been here before it. */
export function resetReason(): undefined {
  return undefined;
}
