// Tells devices that their list or its head changed (reference 4.3): what a list was before, against what it is now.

import type { JobRecords } from "./job-records.js";
import type { JobExecution } from "./job-types.js";
import type { JsonObject } from "./json.js";

export interface JobNoticesOptions {
  readonly records: JobRecords;
  /** Body of `notify`. */
  list(pending: readonly JobExecution[]): JsonObject;
  /** Body of `notify-next`; undefined for an empty list. */
  next(head: JobExecution | undefined): JsonObject;
  publish(topic: string, body: JsonObject): void;
}

const keyOf = ({ jobId, number }: JobExecution): string => `${jobId}/${number}`;

export class JobNotices {
  readonly #options: JobNoticesOptions;
  /** What the lists were that have changed since. */
  #before = new Map<string, readonly string[]>();

  constructor(options: JobNoticesOptions) {
    this.#options = options;
    options.records.beforeChange = thing => this.#remember(thing);
  }

  /** Once for all that one request or one moment changed. */
  flush(): void {
    const before = this.#before;
    this.#before = new Map();
    for (const [thing, keys] of before) this.#tell(thing, keys);
  }

  #remember(thing: string): void {
    if (this.#before.has(thing)) return;
    this.#before.set(thing, this.#options.records.pending(thing).map(keyOf));
  }

  /** Conflict 17 of the sources: that the head is IN_PROGRESS now is no news. */
  #tell(thing: string, before: readonly string[]): void {
    const { records, list, next, publish } = this.#options;
    const pending = records.pending(thing);
    const now = pending.map(keyOf);
    const known = new Set(before);
    const prefix = `$aws/things/${thing}/jobs`;
    const isSame = now.length === before.length && now.every(key => known.has(key));
    if (!isSame) publish(`${prefix}/notify`, list(pending));
    if (now[0] !== before[0]) publish(`${prefix}/notify-next`, next(pending[0]));
  }
}
