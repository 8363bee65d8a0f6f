// A device with two slots and its jobs, as a value: it can be copied, named and gone on from.
import type { Install, UpdateRecord } from "../../src/ota/update.js";

/** What must never be. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export interface Image {
  readonly kind: "good" | "crashes" | "unwell" | "corrupt";
  /** Names the file: a job may offer the same again. */
  readonly identity: string;
  /** What it says of itself. */
  readonly version: string;
  /** What its manifest says; empty without one. */
  readonly to: string;
  /** What becomes of it without a fault. */
  readonly ends: "SUCCEEDED" | "FAILED" | "REJECTED";
}

export type Slot = "a" | "b";
type SlotState = "none" | "new" | "pending" | "valid" | "invalid" | "aborted";

export interface Job {
  /** In the cloud. */
  status: string;
  /** What the device has decided, on flash. */
  said: string;
  attempts: number;
  restarts: number;
  /** The next start is one that it asked for. */
  isRestarting: boolean;
}

export interface World {
  record: UpdateRecord;
  /** On flash. */
  saved: Install | undefined;
  floor: string;
  running: Slot;
  selected: Slot;
  states: Record<Slot, SlotState>;
  /** Indices of images; -1 for what is not whole. */
  slots: Record<Slot, number>;
  jobs: Job[];
  /** Index of the job that a handler holds, or -1. */
  held: number;
  isOnline: boolean;
  /** What was begun and calls back. */
  doing: "" | "fetch" | "verify" | "announce" | "ask" | "watch";
  /** The trial has seen it well for a while. */
  isWell: boolean;
  /** About to: no job begins any more. */
  isRestarting: boolean;
  day: number;
  isTimeKnown: boolean;
  /** Over a start. */
  keepsTime: boolean;
  /** The next write of the record fails. */
  isFull: boolean;
  /** Times each image was put on trial. */
  trials: number[];
  /** Jobs that something came upon which they need not survive. */
  spoiled: boolean[];
  /** Times the power went, or flash failed. */
  faults: number;
  /** Durable operations until the power goes; less than 0: it does not. */
  left: number;
}

const over: readonly string[] = ["SUCCEEDED", "FAILED", "REJECTED", "CANCELED"];

export function atFirst(images: readonly Image[], keepsTime = true): World {
  const job = { status: "QUEUED", said: "", attempts: 0, restarts: 0, isRestarting: false };
  return {
    record: { state: "idle" },
    saved: undefined,
    floor: "",
    running: "a",
    selected: "a",
    states: { a: "valid", b: "none" },
    slots: { a: 0, b: -1 },
    jobs: images.slice(1).map(() => ({ ...job })),
    held: -1,
    isOnline: false,
    doing: "",
    isWell: false,
    isRestarting: false,
    day: 1,
    isTimeKnown: true,
    keepsTime,
    isFull: false,
    trials: images.map(() => 0),
    spoiled: images.slice(1).map(() => false),
    faults: 0,
    left: -1,
  };
}

export function isOver({ status }: Job): boolean {
  return over.includes(status);
}

/** Of two worlds with one name the same can become. */
export function nameOf(world: World): string {
  return JSON.stringify(world);
}
