// What is kept of shadows: documents, and the versions of deleted ones for as long as those count.

import * as v from "valibot";
import type { Clock } from "./environment.js";
import type { JsonObject } from "./json.js";
import type { ShadowLimits } from "./limits.js";
import type { Shadow } from "./shadow-document.js";
import type { Store } from "./store.js";

const jsonObject = v.custom<JsonObject>(
  value => typeof value === "object" && value !== null && !Array.isArray(value),
  "Expected an object",
);
const section = v.object({ state: jsonObject, metadata: jsonObject });
const shadowSchema = v.object({
  version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  sections: v.object({
    desired: v.exactOptional(section),
    reported: v.exactOptional(section),
  }),
  /** Epoch milliseconds; such a record only remembers the version. */
  deletedAt: v.exactOptional(v.number()),
});
type ShadowRecord = v.InferOutput<typeof shadowSchema>;

/** Kinds of record that shadows keep in the store. */
export const shadowSchemas = { shadow: shadowSchema } as const;

/** Between a thing and the name of its shadow in a key; neither may hold it. */
const separator = "~";

/** As the 404 message names a shadow, and as the store does. */
export function shadowKey(thing: string, name: string | undefined): string {
  return name === undefined ? thing : `${thing}${separator}${name}`;
}

export class ShadowRecords {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limits: ShadowLimits;
  readonly #records: Map<string, ShadowRecord>;

  constructor(store: Store, clock: Clock, limits: ShadowLimits) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
    this.#records = new Map(store.list("shadow", shadowSchema));
  }

  find(key: string): Shadow | undefined {
    const record = this.#records.get(key);
    return record?.deletedAt === undefined ? record : undefined;
  }

  /** 0, or the version of a shadow deleted less than 48 hours ago. */
  lastVersion(key: string): number {
    const record = this.#records.get(key);
    return record === undefined || this.#isForgotten(record) ? 0 : record.version;
  }

  put(key: string, shadow: Shadow): void {
    this.#put(key, shadow);
  }

  /** The version is remembered, so that a new shadow continues after it. */
  delete(key: string, version: number): void {
    this.#put(key, { version, sections: {}, deletedAt: this.#clock.now() });
  }

  /** Whether there is room for this shadow; deleted ones that no longer count make some. */
  hasRoom(key: string): boolean {
    if (this.#records.has(key) || this.#records.size < this.#limits.shadows) return true;
    for (const [each, record] of this.#records) {
      if (this.#isForgotten(record)) this.#remove(each);
    }
    return this.#records.size < this.#limits.shadows;
  }

  /** Names of a thing's named shadows, in the order of their code units; the classic one has none. */
  names(thing: string): string[] {
    const prefix = shadowKey(thing, "");
    const names: string[] = [];
    for (const [key, { deletedAt }] of this.#records) {
      if (deletedAt === undefined && key.startsWith(prefix)) names.push(key.slice(prefix.length));
    }
    return names.sort();
  }

  #isForgotten({ deletedAt }: ShadowRecord): boolean {
    if (deletedAt === undefined) return false;
    return this.#clock.now() - deletedAt >= this.#limits.deletionMemoryMs;
  }

  #put(key: string, record: ShadowRecord): void {
    this.#records.set(key, record);
    this.#store.put("shadow", key, record);
  }

  #remove(key: string): void {
    this.#records.delete(key);
    this.#store.remove("shadow", key);
  }
}
