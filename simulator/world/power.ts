// A device's power: it can go at any flash operation, before the operation is done, in the middle of it or right after.
import type { Timer } from "../../src/host.js";

/** Thrown out of the operation during which the power went; nothing a device does after it has any effect. */
export class PowerCut extends Error {
  override readonly name = "PowerCut";
}

/** How far a torn operation came: worse than `KeyValue` allows, yet what some flash does. */
export interface Tear {
  /** What is there of the new value, from its start: 0 to 1. Of a deleted value: what is still there of the old one. */
  readonly part: number;
  /** The old value's bytes stand where the new one's do not; otherwise the value ends there. */
  readonly isMixed: boolean;
}

/** Where the power goes. */
export interface Cut {
  /** Counted from 0. */
  readonly operation: number;
  readonly when: "before" | "after" | Tear;
}

export interface Operation {
  /** What is done to which value: `write identity.1`. */
  readonly name: string;
  perform(): void;
  tear(tear: Tear): void;
}

const never: Cut = Object.freeze({ operation: Number.POSITIVE_INFINITY, when: "before" });

export class Power {
  #isOn = true;
  readonly #names: string[] = [];
  readonly #cut: Cut;

  /** @param cut a number counts half-operations: 2n cuts before operation n is done, 2n + 1 after it */
  constructor(cut: Cut | number = never) {
    this.#cut = typeof cut === "number" ? wholeCut(cut) : cut;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Flash operations so far. */
  get operations(): number {
    return this.#names.length;
  }

  /** Their names, oldest first; the last may not have been done. */
  get names(): readonly string[] {
    return this.#names;
  }

  cut(): void {
    this.#isOn = false;
  }

  /** Performs one flash operation, unless the power goes first. */
  spend(operation: Operation): void {
    if (!this.#isOn) throw new PowerCut("the power is off");
    const { when } = this.#cut;
    const isHere = this.#names.length === this.#cut.operation;
    this.#names.push(operation.name);
    if (!isHere || when === "after") operation.perform();
    else if (when !== "before") operation.tear(when);
    if (isHere) this.#goes();
  }

  #goes(): never {
    this.#isOn = false;
    throw new PowerCut(`the power went at flash operation ${this.operations - 1}`);
  }
}

function wholeCut(halfOperations: number): Cut {
  const operation = Math.floor(halfOperations / 2);
  return { operation, when: halfOperations % 2 === 0 ? "before" : "after" };
}

/** Timers of a device whose power has gone never fire. */
export function poweredTimer(timer: Timer, power: Power): Timer {
  const whilePowered = (callback: () => void) => () => {
    if (power.isOn) callback();
  };
  return {
    set: (callback, delayMs) => timer.set(whilePowered(callback), delayMs),
    repeat: (callback, intervalMs) => timer.repeat(whilePowered(callback), intervalMs),
    clear: handle => timer.clear(handle),
  };
}
