// Deep sleep of a virtual machine: it is off until a timer of the world starts it again; a few bytes stay while there is power.
import type { Retained, TimerHandle } from "../../src/host.js";
import type { VirtualClock } from "./clock.js";
import type { Power } from "./power.js";

export class Sleep implements Retained {
  readonly #clock: VirtualClock;
  readonly #boot: () => void;
  #bytes: Uint8Array | undefined;
  #alarm: TimerHandle | undefined;

  /** @param boot starts the machine, with a new `Power` */
  constructor(clock: VirtualClock, boot: () => void) {
    this.#clock = clock;
    this.#boot = boot;
  }

  get isAsleep(): boolean {
    return this.#alarm !== undefined;
  }

  read(): Uint8Array | undefined {
    return this.#bytes?.slice();
  }

  write(bytes: Uint8Array): void {
    this.#bytes = bytes.slice();
  }

  /** The machine switches itself off. */
  begin(power: Power, delayMs: number): void {
    power.cut();
    this.#alarm = this.#clock.set(() => this.wake(), delayMs);
  }

  /** The alarm, or anything before it: a button, a sensor. */
  wake(): void {
    this.#clock.clear(this.#alarm);
    this.#alarm = undefined;
    this.#boot();
  }

  /** The battery is taken out: nothing is retained, and nothing wakes it. */
  losePower(): void {
    this.#clock.clear(this.#alarm);
    this.#alarm = undefined;
    this.#bytes = undefined;
  }
}
