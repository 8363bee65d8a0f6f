// What an update says: the difference between what is in force and what the cloud knows of it.
import type { Verdicts } from "./reconcile.js";
import type { ShadowRecord } from "./record.js";
import type { FlatValues, Value } from "./schema.js";

/** What an update says; absent where it says nothing. */
export interface Update {
  readonly reported: FlatValues | undefined;
  /** By path, null where there is none any more; `null` when there is none at all. */
  readonly verdicts: ReadonlyMap<string, string | null> | null | undefined;
  /** What the device wants the cloud to want: taken only at `version`. */
  readonly desired: FlatValues | undefined;
  readonly version: number | undefined;
}

/** What the cloud does not know. */
export function updateOf(record: ShadowRecord): Update | undefined {
  const { values, local, version, isTerse } = record;
  if (record.isBarred || record.applying) return undefined;
  const reported: Record<string, Value> = {};
  for (const path of Object.keys(values))
    if (record.reported[path] !== values[path]) reported[path] = values[path]!;
  const desired: Record<string, Value> = {};
  for (const path of local) desired[path] = values[path]!;
  const update: Update = {
    reported: orNone(reported),
    verdicts: isTerse ? undefined : newsOf(record.verdicts, record.told),
    desired: orNone(desired),
    version: local.length > 0 && version > 0 ? version : undefined,
  };
  const isEmpty = !update.reported && update.verdicts === undefined && !update.desired;
  return isEmpty ? undefined : update;
}

function orNone(values: FlatValues): FlatValues | undefined {
  return Object.keys(values).length > 0 ? values : undefined;
}

function newsOf(verdicts: Verdicts | undefined, told: Verdicts | undefined): Update["verdicts"] {
  if (!verdicts) return told && told.size > 0 ? null : undefined;
  const news = new Map<string, string | null>();
  for (const [path, verdict] of verdicts) if (told?.get(path) !== verdict) news.set(path, verdict);
  if (told) for (const path of told.keys()) if (!verdicts.has(path)) news.set(path, null);
  return news.size > 0 ? news : undefined;
}

/** What the cloud has been told once it took these news. */
export function folded(
  told: Verdicts | undefined,
  news: ReadonlyMap<string, string | null> | null,
): Verdicts | undefined {
  if (news === null) return undefined;
  const next = new Map(told);
  for (const [path, verdict] of news) {
    if (verdict === null) next.delete(path);
    else next.set(path, verdict);
  }
  return next;
}
