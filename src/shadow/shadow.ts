// One shadow, as decisions. Level-triggered: a document read on connect says all, a delta is a hint. One request at a time, made
// when its turn comes: what has changed until then goes along.
import { AgentError } from "../errors.js";
import { deepFreeze, lean, type Step } from "../util/machine.js";
import { bounded, type Desired, type Members, reconcile, type Verdicts } from "./reconcile.js";
import { type ShadowEffect, type ShadowEvent, type ShadowRecord, startingFrom } from "./record.js";
import type { FlatValues, Leaves, Value } from "./schema.js";
import { type ShadowState, shadowTable } from "./table.js";
import { folded, updateOf } from "./update.js";

type Result = Step<ShadowRecord, ShadowEffect>;

const maxFailures = 3;

/** Decides, never acts. */
export function step(leaves: Leaves, before: ShadowRecord, event: ShadowEvent): Result {
  const { record, effects } = decide(leaves, before, event);
  return { record: lean(record), effects };
}

function decide(leaves: Leaves, record: ShadowRecord, event: ShadowEvent): Result {
  const state = shadowTable[record.state][event.type];
  if (state === undefined) {
    throw new AgentError("agent/illegal-event", `shadow: ${event.type} in ${record.state}`);
  }
  const next = { ...record, state };
  switch (event.type) {
    case "subscribed":
      return ask({ ...startingFrom(record.values, record.local), state });
    case "turn":
      return turn(next);
    case "document": {
      const { desired, reported, told, version } = event;
      if (version < record.heard) return again(next);
      const known = { ...answered(next), reported, told, version, isBarred: false };
      return settled(converge(leaves, known, desired, true));
    }
    case "absent":
      if (record.heard > 0) return again(next);
      return settled(ask({ ...answered(next), ...nothing }));
    case "unreadable":
      return withAll([{ type: "report", error: event.error }], same(answered(next)));
    case "garbled":
      return withAll([{ type: "report", error: event.error }], ask(hearing(next)));
    case "delta":
      return onDelta(leaves, next, event, record.state);
    case "foreign":
      return onForeign(next, event);
    case "deleted":
      return ask(hearing(next));
    case "changed":
      return onChanged(leaves, next, event.values);
    case "applied":
      return onApplied(next, event.verdicts);
    case "retry": {
      const untried = { ...next, tried: undefined };
      return state === "waiting" ? same(untried) : read(untried);
    }
    case "accepted":
      return onAccepted(next, event.version);
    case "conflict":
      if (next.failures >= maxFailures) return later(next);
      return ask({ ...answered(next), failures: next.failures + 1 });
    case "refused":
      return onRefused(next, event.error, event.isTooLong);
    case "busy": {
      const { record: after, effects } = later(next);
      return { record: after, effects: [{ type: "report", error: event.error }, ...effects] };
    }
    case "due":
      return ask(next);
    case "timeout": {
      const silences = (next.silences ?? 0) + 1;
      const after = { ...answered(next), silences };
      if (silences < maxFailures) return ask(after);
      const error = new AgentError("shadow/timeout", "shadow: no answer");
      return { record: after, effects: [{ type: "drop", error }] };
    }
    case "lost":
      // `applied` follows all the same when the product ends the link while it is told.
      return same(succeeded(answered(next)));
  }
}

/** What the cloud has where there is no shadow, and what local changes are left: nothing is wanted that they could win over. */
const nothing = deepFreeze({
  reported: {},
  told: undefined,
  verdicts: undefined,
  local: [],
  version: 0,
} as const);

function same(record: ShadowRecord): Result {
  return { record, effects: [] };
}

function answered(record: ShadowRecord): ShadowRecord {
  return { ...record, request: undefined, updating: undefined };
}

function succeeded(record: ShadowRecord): ShadowRecord {
  return { ...record, failures: 0, silences: undefined };
}

/** Failures are over when nothing is left to report; until then they go on counting, or two writers would race for ever. */
function settled({ record, effects }: Result): Result {
  return { record: record.request ? record : succeeded(record), effects };
}

function read(record: ShadowRecord): Result {
  return ask(record.state === "idle" ? record : { ...record, state: "reading" });
}

/** What has just been read is older than what was told meanwhile. */
function again(record: ShadowRecord): Result {
  return ask({ ...answered(record), state: "reading" });
}

/** A document that is on its way counts only from this version on; without one, not at all. */
function hearing(record: ShadowRecord, version = Number.POSITIVE_INFINITY): ShadowRecord {
  return { ...record, heard: Math.max(record.heard, version) };
}

function later(record: ShadowRecord): Result {
  const { failures } = record;
  return {
    record: { ...answered(record), state: "waiting", failures: failures + 1 },
    effects: [{ type: "wait", attempt: failures }],
  };
}

/** One request at a time; what changes meanwhile follows its answer. */
function ask(record: ShadowRecord): Result {
  if (record.request !== undefined || record.applying) return same(record);
  const isNeeded =
    record.state === "reading" || (record.state === "following" && updateOf(record) !== undefined);
  if (!isNeeded) return same(record);
  return { record: { ...record, request: "queued" }, effects: [{ type: "ask" }] };
}

function turn(record: ShadowRecord): Result {
  if (record.state === "reading")
    return { record: { ...record, request: "get", heard: 0 }, effects: [{ type: "get" }] };
  const update = record.state === "following" ? updateOf(record) : undefined;
  if (!update) return same({ ...record, request: undefined });
  return {
    record: { ...record, request: "update", updating: update },
    effects: [{ type: "update", update }],
  };
}

function onDelta(
  leaves: Leaves,
  record: ShadowRecord,
  { desired, version }: ShadowEvent & { type: "delta" },
  before: ShadowState,
): Result {
  if (before === "halted") return ask(record);
  // The document tells all; unless it was on its way already.
  if (before !== "following") return same(hearing(record, version));
  // Older than what is known, or of a shadow that was gone: late, or it was made anew. Only the document can tell.
  if (version < record.version || record.version === 0) return read(record);
  const reported = contradicted(record.reported, desired.members);
  // The same one again is nothing new.
  const isBarred = record.isBarred && version === record.version;
  return converge(leaves, { ...record, version, reported, isBarred }, desired, false);
}

function onForeign(
  record: ShadowRecord,
  { version, isReport }: ShadowEvent & { type: "accepted" | "foreign" },
): Result {
  const next = hearing(record, version);
  if (record.state !== "following") return ask(next);
  // A delta that is late must not pass for the latest.
  const known = { ...next, version: Math.max(version, record.version) };
  // Nobody but the device knows what is to be reported. A verdict may be about what nobody wants any more: no delta says that.
  return isReport || record.verdicts || record.version === 0 ? read(known) : same(known);
}

/** What the cloud wants and does not have as reported cannot be reported: where that was believed, it is not known any more. */
function contradicted(reported: Members, differing: Members): Members {
  let rest: Record<string, Members[string]> | undefined;
  for (const path of Object.keys(differing)) {
    if (differing[path] === undefined || differing[path] !== reported[path]) continue;
    rest ??= { ...reported };
    rest[path] = undefined;
  }
  return rest ?? reported;
}

function converge(
  leaves: Leaves,
  before: ShadowRecord,
  desired: Desired,
  isWhole: boolean,
): Result {
  const { apply, verdicts, discard } = reconcile(leaves, { ...before, isWhole, desired });
  const local =
    discard.length > 0 ? before.local.filter(path => !discard.includes(path)) : before.local;
  const record = { ...before, local, verdicts };
  const effects: ShadowEffect[] = [];
  for (const [path, verdict] of verdicts ?? [])
    if (before.verdicts?.get(path) !== verdict) effects.push({ type: "verdict", path, verdict });
  if (!apply) return withAll(effects, ask(record));
  return {
    record: { ...record, applying: apply },
    effects: [...effects, { type: "apply", changed: apply }],
  };
}

function withAll(effects: readonly ShadowEffect[], result: Result): Result {
  return { record: result.record, effects: [...effects, ...result.effects] };
}

function onChanged(leaves: Leaves, record: ShadowRecord, changed: FlatValues): Result {
  const { values } = record;
  const different = Object.keys(changed).filter(path => values[path] !== changed[path]);
  const winning = different.filter(
    path => leaves[path]?.wins === "device" && !record.local.includes(path),
  );
  const next = {
    ...record,
    values: different.length > 0 ? { ...values, ...changed } : values,
    local: winning.length > 0 ? [...record.local, ...winning] : record.local,
    isBarred: record.isBarred && different.length === 0,
    ...overtaken(record, different),
    ...fulfilled(record, changed),
  };
  return ask(next.applying ? overruled(next, next.applying, changed) : next);
}

/** What the product would not take and sets itself in the end is refused no more. */
function fulfilled(
  { verdicts, tried }: ShadowRecord,
  changed: FlatValues,
): Pick<ShadowRecord, "verdicts" | "tried"> {
  const paths = Object.keys(changed).filter(path => tried?.get(path)?.[0] === changed[path]);
  if (paths.length === 0) return { verdicts, tried };
  const others = new Map(verdicts);
  const rest = new Map(tried);
  for (const path of paths) {
    others.delete(path);
    rest.delete(path);
  }
  return { verdicts: bounded(others), tried: rest };
}

/**
 * What is set is reported, also when it is what was reported last: the cloud may have been obeyed in between, without a word, and
 * only a report makes it say again what it wants. One that is on its way is too old for that.
 */
function overtaken(
  { reported, updating }: ShadowRecord,
  changed: readonly string[],
): Pick<ShadowRecord, "reported" | "updating"> {
  if (changed.length === 0) return { reported, updating };
  const known = { ...reported };
  const told = { ...updating?.reported };
  for (const path of changed) {
    known[path] = undefined;
    delete told[path];
  }
  return { reported: known, updating: updating && { ...updating, reported: told } };
}

/** The product has set something else while it was told what is wanted. */
function overruled(record: ShadowRecord, applying: FlatValues, changed: FlatValues): ShadowRecord {
  const rest: Record<string, Value> = {};
  const verdicts = new Map(record.verdicts);
  const tried = new Map(record.tried);
  for (const path of Object.keys(applying)) {
    if (changed[path] === undefined) rest[path] = applying[path]!;
    else if (changed[path] !== applying[path] && !record.local.includes(path)) {
      const verdict = `failed: the device has set ${String(changed[path]).slice(0, 24)}`;
      verdicts.set(path, verdict);
      tried.set(path, [applying[path]!, verdict]);
    }
  }
  return { ...record, applying: rest, verdicts: bounded(verdicts), tried };
}

function onApplied(record: ShadowRecord, failed: Verdicts | undefined): Result {
  const { applying = {} } = record;
  const values: Record<string, Value> = { ...record.values };
  const verdicts = new Map(record.verdicts);
  const tried = new Map(record.tried);
  const effects: ShadowEffect[] = [];
  for (const path of Object.keys(applying)) {
    const verdict = failed?.get(path);
    if (verdict === undefined) {
      values[path] = applying[path]!;
      tried.delete(path);
      continue;
    }
    verdicts.set(path, verdict);
    tried.set(path, [applying[path]!, verdict]);
    effects.push({ type: "verdict", path, verdict });
  }
  const next = {
    ...record,
    values,
    verdicts: bounded(verdicts),
    tried: tried.size > 0 ? tried : undefined,
    applying: undefined,
    isBarred: false,
  };
  return settled(withAll(effects, ask(next)));
}

function onAccepted(record: ShadowRecord, version: number): Result {
  const { updating } = record;
  const desired = updating?.desired;
  const next: ShadowRecord = {
    ...succeeded(answered(record)),
    reported: { ...record.reported, ...updating?.reported },
    told: updating?.verdicts === undefined ? record.told : folded(record.told, updating.verdicts),
    local: desired
      ? record.local.filter(path => desired[path] !== record.values[path])
      : record.local,
    version: Math.max(version, record.version),
  };
  // Something newer was seen before this answer: what the update has said may have been said otherwise since.
  // And a verdict may have been about what it has just overwritten.
  const isDoubtful = version < record.version || (desired && next.verdicts);
  return isDoubtful ? read(next) : ask(next);
}

/** For good: not repeated unchanged. Too long: once more without verdicts, which are the lesser loss. */
function onRefused(record: ShadowRecord, error: AgentError, isTooLong: boolean): Result {
  const wasRead = record.request === "get";
  const report = { type: "report", error } as const;
  if (wasRead) return { record: { ...answered(record), state: "halted" }, effects: [report] };
  const isTerse = record.isTerse ?? (isTooLong && record.updating?.verdicts instanceof Map);
  const isBarred = isTerse === (record.isTerse ?? false);
  return withAll([report], ask({ ...answered(record), isTerse, isBarred }));
}
