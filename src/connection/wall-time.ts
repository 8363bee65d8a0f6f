// The time certificates are judged at: the host's clock, but never a moment that is known to be past (README.md).
import type { Clock, KeyValue } from "../host.js";
import { readPair, writePair } from "../util/sealed.js";

const key = "time";
const dayMs = 86_400_000;
const recordBytes = 4;

export class WallTime {
  readonly #clock: Clock;
  #store: KeyValue | undefined;
  #floor: number | undefined;

  /** @param builtAt epoch ms when the firmware was built, or undefined */
  constructor(clock: Clock, builtAt: number | undefined) {
    this.#clock = clock;
    this.#floor = builtAt;
  }

  /** Takes the floor that `store` holds, and keeps it there from now on. @throws AgentError "storage/damaged": there is none */
  open(store: KeyValue): void {
    this.#store = store;
    const kept = readPair(store, key);
    if (kept !== undefined) this.raise(parseFloor(kept));
  }

  /** Epoch ms that cannot lie in the future; undefined when nothing is known. */
  get floor(): number | undefined {
    return this.#floor;
  }

  /** The clock's epoch ms, or undefined while it is not set or is behind the floor. */
  now(): number | undefined {
    const now = this.#clock.now();
    return now === undefined || !(now >= (this.#floor ?? 0)) ? undefined : now;
  }

  /**
   * A server whose certificates hold at `time` has been met: the floor follows, in steps of a day.
   *
   * @throws what the store throws; the floor in memory has moved all the same
   */
  confirm(time: number): void {
    const days = Math.floor(time / dayMs);
    if (days * dayMs <= (this.#floor ?? 0)) return;
    this.#floor = days * dayMs;
    if (this.#store) writePair(this.#store, key, encodeDays(days));
  }

  private raise(floor: number): void {
    this.#floor = Math.max(floor, this.#floor ?? 0);
  }
}

/** Days since 1970, big-endian. */
function encodeDays(days: number): Uint8Array {
  const record = new Uint8Array(recordBytes);
  new DataView(record.buffer).setUint32(0, days);
  return record;
}

function parseFloor({ buffer, byteOffset }: Uint8Array): number {
  return new DataView(buffer, byteOffset, recordBytes).getUint32(0) * dayMs;
}
