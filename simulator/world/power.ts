// A device's power: it can go at any flash operation, before the operation is done or right after.
import type { Timer } from "../../src/host.js";

/** Thrown out of the operation during which the power went; nothing a device does after it has any effect. */
export class PowerCut extends Error {
  override readonly name = "PowerCut";
}

export class Power {
  #isOn = true;
  #operations = 0;
  readonly #cutAt: number;

  /** @param cutAt half-operations until the power goes: 2n cuts before operation n is done, 2n + 1 after it */
  constructor(cutAt = Number.POSITIVE_INFINITY) {
    this.#cutAt = cutAt;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Flash operations so far. */
  get operations(): number {
    return this.#operations;
  }

  cut(): void {
    this.#isOn = false;
  }

  /** Performs one flash operation, unless the power goes first. */
  spend(operation: () => void): void {
    if (!this.#isOn) throw new PowerCut("the power is off");
    const at = 2 * this.#operations++;
    if (at === this.#cutAt) this.#goes();
    operation();
    if (at + 1 === this.#cutAt) this.#goes();
  }

  #goes(): never {
    this.#isOn = false;
    throw new PowerCut(`the power went at flash operation ${this.#operations - 1}`);
  }
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
