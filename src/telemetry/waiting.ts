// What waits in an outbox, counted as far as a decision needs it.
import type { Outbox } from "../outbox/outbox.js";
import { priorities } from "../outbox/policies.js";

export interface Waiting {
  /** Of the classes alert, telemetry and bulk. */
  readonly records: readonly [alert: number, telemetry: number, bulk: number];
  readonly bytes: number;
  /** Epoch ms of the oldest record whose time is certain. */
  readonly oldestTime: number | undefined;
}

/** Where counting ends: what is beyond makes no difference. */
export interface WaitingBound {
  readonly records: number;
  readonly bytes: number;
}

/** Reads each record that waits, the most important class first, until the bound is reached. @param now as `Outbox.peek` */
export function countWaiting(outbox: Outbox, bound: WaitingBound, now?: number): Waiting {
  const records: [number, number, number] = [0, 0, 0];
  let all = 0;
  let bytes = 0;
  let oldestTime: number | undefined;
  for (const priority of Object.values(priorities)) {
    for (let after = 0; all < bound.records && bytes < bound.bytes; ) {
      const entry = outbox.peek(priority, after, now);
      if (!entry) break;
      after = entry.id;
      all++;
      records[priority as 0 | 1 | 2]++;
      bytes += entry.payload.length;
      if (entry.isTimeCertain) oldestTime = Math.min(entry.time, oldestTime ?? entry.time);
    }
  }
  return { records, bytes, oldestTime };
}
