// What a shadow and a device that differ should do about it: a pure function, told everything, changing nothing.
import {
  type FlatValues,
  faultOf,
  faultOfSize,
  type Leaves,
  type Member,
  type Value,
} from "./schema.js";

/** Members of a document by path: absent, a value, or something no setting can be. */
export type Members = { readonly [path: string]: Member | undefined };

/** By path, why what is desired is not in force; begins with the verdict. */
export type Verdicts = ReadonlyMap<string, string>;

/** What is desired, as a document or a delta has it. */
export interface Desired {
  readonly members: Members;
  /** Members that nobody declared, or of another kind; those beyond the bound are counted only. */
  readonly others: Verdicts;
  readonly moreOthers: number;
}

export interface Situation {
  /** All that is desired; a delta tells only what differs from what is reported. */
  readonly isWhole: boolean;
  readonly desired: Desired;
  /** What the cloud has as reported. */
  readonly reported: Members;
  /** In force on the device. */
  readonly values: FlatValues;
  /** Set by the product and to win: the cloud has not been told yet. */
  readonly local: readonly string[];
  /** The verdicts so far. */
  readonly verdicts?: Verdicts | undefined;
  /** What the product would not take, and its verdict. */
  readonly tried?: Tried | undefined;
}

/** By path, a value and the verdict of the product. */
export type Tried = ReadonlyMap<string, readonly [value: Value, verdict: string]>;

export interface Decision {
  /** To be put in force, all at once. */
  readonly apply: FlatValues | undefined;
  /** To be told: why the rest is not. */
  readonly verdicts: Verdicts | undefined;
  /** Local changes that are over: the cloud wants the same, wants nothing, or has been told and wants something else since. */
  readonly discard: readonly string[];
}

/** Verdicts told at a time; the others are counted under `*`. */
const maxVerdicts = 16;

export function reconcile(leaves: Leaves, situation: Situation): Decision {
  const { isWhole, desired, reported, values, local, tried } = situation;
  const verdicts = new Map(isWhole ? undefined : situation.verdicts);
  // A delta tells of all of them: counted anew.
  verdicts.delete("*");
  const apply: Record<string, Value> = {};
  const discard: string[] = [];
  for (const path of Object.keys(leaves)) {
    const wanted = desired.members[path];
    const isLocal = local.includes(path);
    if (wanted === undefined) {
      if (isLocal && isWhole) discard.push(path);
      continue;
    }
    verdicts.delete(path);
    if (wanted === values[path]) {
      if (isLocal) discard.push(path);
      continue;
    }
    if (isLocal) {
      // Reported already: then the cloud was told what to want as well, and has changed its mind.
      if (!isWhole || reported[path] !== values[path]) continue;
      discard.push(path);
    }
    const fault = faultOf(leaves[path]!, wanted) ?? faultTried(tried, path, wanted);
    if (fault) verdicts.set(path, fault);
    else apply[path] = wanted as Value;
  }
  const size = Object.keys(apply).length > 0 ? faultOfSize({ ...values, ...apply }) : undefined;
  if (size)
    for (const path of Object.keys(apply)) verdicts.set(path, `out of range: settings ${size}`);
  for (const [path, verdict] of desired.others) verdicts.set(path, verdict);
  return {
    apply: size || Object.keys(apply).length === 0 ? undefined : apply,
    verdicts: bounded(verdicts, desired.moreOthers),
    discard,
  };
}

function faultTried(tried: Tried | undefined, path: string, wanted: Member): string | undefined {
  const before = tried?.get(path);
  return before !== undefined && before[0] === wanted ? before[1] : undefined;
}

/** @returns undefined when there is none; those under `*` go on counting */
export function bounded(verdicts: ReadonlyMap<string, string>, more = 0): Verdicts | undefined {
  const others = more + (Number.parseInt(verdicts.get("*") ?? "", 10) || 0);
  if (others === 0 && verdicts.size <= maxVerdicts) return verdicts.size > 0 ? verdicts : undefined;
  const named = Array.from(verdicts).filter(([path]) => path !== "*");
  // The same ones whatever came first.
  named.sort(([one], [other]) => (one < other ? -1 : 1));
  const first = new Map(named.slice(0, maxVerdicts - 1));
  return first.set("*", `${named.length + others - first.size} more`);
}
