// The jobs of a device, as decisions: one in hand at a time. Level-triggered: the head of the queue is read on every connect, a
// notification is a hint. One request at a time, made of what is known then.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { lean, type Step } from "../util/machine.js";
import type { Journal, Outcome } from "./journal.js";
import type { Execution, ExecutionState } from "./messages.js";
import type { JobEffect, JobEvent, JobsRecord, Verdict } from "./record.js";
import { type JobState, jobTable } from "./table.js";

type Result = Step<JobsRecord, JobEffect>;

/** @param hasSlept the machine was in deep sleep, and has not failed */
export function startingFrom(journal: Journal | undefined, hasSlept = false): JobsRecord {
  const isOver = journal === undefined || journal.isTold;
  const state = isOver ? "idle" : journal.outcome ? "ended" : "starting";
  return lean({ state, journal, failures: 0, hasSlept: hasSlept && !isOver });
}

/** Decides, never acts. */
export function step(before: JobsRecord, event: JobEvent): Result {
  const { record, effects } = decide(before, event);
  return { record: lean(record), effects };
}

function decide(before: JobsRecord, event: JobEvent): Result {
  const state = jobTable[before.state][event.type];
  if (state === undefined)
    throw new AgentError("agent/illegal-event", `job: ${event.type} in ${before.state}`);
  const record = { ...before, state };
  switch (event.type) {
    case "subscribed":
      if (record.isOnline) return same(record);
      return ask({ ...record, isOnline: true, isLooking: true, failures: 0 });
    case "lost":
      return same({ ...offline(record), details: record.details ?? record.telling });
    case "hint": {
      const isOurs = isOpen(before) && isOf(record.journal, event);
      if (isOurs) return same(record);
      return ask({
        ...record,
        isLooking: true,
        isHinted: event.jobId === undefined ? undefined : true,
      });
    }
    case "next":
      return onNext({ ...answered(record), isLooking: false }, event.execution);
    case "own":
      return onOwn({ ...answered(record), isDoubted: false }, event.execution);
    case "gone":
      return onGone(answered(record), before.state);
    case "start":
    case "defer":
    case "reject":
      // The link may have been lost over it.
      return before.state === "judging" ? onJudged(record, event) : same(record);
    case "accepted":
      return onAccepted(answered(record), event.state, before);
    case "mismatch":
    case "illegal":
      return onDiffering(record, event, before.state);
    case "refused":
      return onRefused(record, event.error);
    case "unreadable":
      return onUnreadable(record, event.error);
    case "busy":
      return later(record, event.error);
    case "due":
      return ask({ ...record, isWaiting: false, isLooking: true });
    case "paced":
      return ask({ ...record, isPaced: false });
    case "renew":
      return ask({ ...record, isRenewing: true });
    case "report":
      return ask({ ...record, details: event.details });
    case "refresh":
      return ask({ ...record, wantsDocument: true });
    case "progressed":
      return same(withJournal(record, { attempts: 1, restarts: undefined }));
    case "kept":
      return same(withJournal(record, { kept: event.state }));
    case "restart":
      return onRestart(record);
    case "finished":
      return finish(record, event.outcome);
  }
}

function same(record: JobsRecord): Result {
  return { record, effects: [] };
}

function answered(record: JobsRecord): JobsRecord {
  return { ...record, request: undefined, telling: undefined };
}

/** What is asked for over a link is forgotten with it. */
function offline(record: JobsRecord): JobsRecord {
  return {
    ...answered(record),
    isOnline: false,
    isWaiting: false,
    isLooking: false,
    isDoubted: false,
    version: undefined,
  };
}

function withJournal(record: JobsRecord, change: Partial<Journal>): JobsRecord {
  return { ...record, journal: lean({ ...record.journal!, ...change }) };
}

/** An execution is in hand, and the service may not know what became of it. */
function isOpen({ journal, isRepeating }: JobsRecord): boolean {
  return journal !== undefined && (!journal.isTold || isRepeating === true);
}

type Name = { readonly [M in "jobId" | "executionNumber" | "queuedAt"]?: Execution[M] | undefined };

function isOf(journal: Journal | undefined, { jobId, executionNumber, queuedAt }: Name): boolean {
  if (journal?.jobId !== jobId || journal?.executionNumber !== executionNumber) return false;
  const since = journal?.queuedAt;
  return since === undefined || queuedAt === undefined || since === queuedAt;
}

export function isTerminal(status: string): boolean {
  return status !== "QUEUED" && status !== "IN_PROGRESS";
}

/** The one request that is due. */
function ask(record: JobsRecord): Result {
  const { state, isOnline, request, isWaiting, version, isPaced } = record;
  if (!isOnline || request || isWaiting) return same(record);
  if (state === "judging" || state === "restarting") return same(record);
  const inHand = isOpen(record);
  if (inHand && (record.isDoubted || record.wantsDocument)) return get(record, "own");
  if (record.isLooking) return get(record, "next");
  if (version === undefined || !inHand) return same(record);
  if (state === "starting") return update(record, "start", version);
  if (state === "ended") return update(record, "end", version);
  const isNews = record.details !== undefined || record.isRenewing;
  if (state !== "running" || !isNews || isPaced) return same(record);
  return update(record, "report", version);
}

function get(record: JobsRecord, which: "next" | "own"): Result {
  return {
    record: { ...record, request: which },
    effects: [{ type: "get", which, hasDocument: record.bare === undefined }],
  };
}

function update(record: JobsRecord, request: "start" | "report" | "end", version: number): Result {
  const { journal, details, isTerse } = record;
  const asked = { ...record, request };
  if (request === "end") {
    const { status, details: reasons } = journal!.outcome!;
    const told = isTerse || reasons.size === 0 ? undefined : reasons;
    return { record: asked, effects: [{ type: "update", status, details: told, version }] };
  }
  const status = "IN_PROGRESS";
  const isReport = request === "report";
  const telling = isReport ? details : undefined;
  return {
    record: { ...asked, telling, isRenewing: false, isPaced: isReport },
    effects: [
      { type: "update", status, details: telling, version },
      ...(isReport ? [{ type: "pace" } as const] : []),
    ],
  };
}

/** Asked again after a backoff, of what is known then. */
function later(record: JobsRecord, error?: AgentError): Result {
  const { failures } = record;
  return {
    record: { ...answered(record), isWaiting: true, failures: failures + 1 },
    effects: [
      ...(error ? [{ type: "fault", error } as const] : []),
      { type: "wait", attempt: failures },
    ],
  };
}

function onNext(record: JobsRecord, execution: Execution | undefined): Result {
  const { journal, bare } = record;
  if (isOpen(record)) {
    if (execution && isOf(journal, execution)) return onOwn(record, execution);
    return ask({ ...record, isDoubted: true });
  }
  const next = { ...record, bare: undefined, isHinted: undefined };
  if (!execution || isTerminal(execution.status)) {
    const idle = { ...next, state: "idle" as const, failures: 0, losses: undefined };
    // What was announced may not be everywhere in the service yet.
    return record.isHinted ? later(idle) : ask(idle);
  }
  if (journal?.outcome && isOf(journal, execution))
    return later({ ...next, state: "ended", isRepeating: true });
  return {
    record: { ...next, state: "judging", isRepeating: false },
    effects: [{ type: "judge", execution, fault: bare }],
  };
}

function onOwn(before: JobsRecord, execution: Execution): Result {
  if (!isOf(before.journal, execution) || isTerminal(execution.status))
    return onGone({ ...before, state: "idle" }, before.state);
  const isAsked = before.wantsDocument === true;
  const record = {
    ...before,
    version: execution.version,
    isDoubted: false,
    wantsDocument: false,
    bare: undefined,
    isRenewing: before.isRenewing || (before.state === "running" && execution.status === "QUEUED"),
  };
  const known = { type: "known", execution, isAsked, fault: before.bare } as const;
  const isStarted = record.state === "starting" && execution.status === "IN_PROGRESS";
  const { record: after, effects } = isStarted ? begin(record) : ask(record);
  return { record: after, effects: [known, ...effects] };
}

/** The service has ended it, or does not know it any more. One that it names again and again is not asked for in a circle. */
function onGone(before: JobsRecord, state: JobState): Result {
  const { journal, losses = 0 } = before;
  const over: JobsRecord = {
    ...before,
    ...nothing,
    state: "idle",
    // Told, or not to be told any more: were it delivered again, it would still not run again.
    journal: journal?.outcome ? lean({ ...journal, kept: undefined, isTold: true }) : undefined,
    isLooking: true,
    losses: losses + 1,
  };
  const isCircle = losses >= maxLosses;
  const { record, effects } = isCircle
    ? later({ ...over, failures: losses - maxLosses })
    : ask(over);
  const hasRun = state === "running" || !before.isFresh;
  return journal && (state === "running" || state === "starting")
    ? { record, effects: [...effects, { type: "cancel", journal, hasRun }] }
    : { record, effects };
}

const maxLosses = 3;

/** All that belongs to an execution. */
const nothing = Object.freeze({
  version: undefined,
  details: undefined,
  telling: undefined,
  isDoubted: false,
  wantsDocument: false,
  bare: undefined,
  isRenewing: false,
  isFresh: false,
  hasSlept: false,
  isRepeating: false,
  isTerse: false,
});

function onJudged(record: JobsRecord, verdict: Verdict): Result {
  const { jobId, executionNumber, queuedAt, version, status } = verdict.execution;
  if (verdict.type === "defer") {
    const { record: after, effects } = ask(record);
    return { record: after, effects: [{ type: "defer", seconds: verdict.seconds }, ...effects] };
  }
  const journal = lean({ jobId, executionNumber, queuedAt, attempts: 1 });
  const taken = { ...record, ...nothing, version, failures: 0, journal };
  if (verdict.type === "start")
    return ask(withJournal({ ...taken, isFresh: true }, { operation: verdict.operation }));
  // The service may refuse REJECTED for what is in progress.
  const end = status === "QUEUED" ? "REJECTED" : "FAILED";
  return finish(taken, { status: end, details: verdict.details });
}

function onAccepted(
  record: JobsRecord,
  told: ExecutionState | undefined,
  before: JobsRecord,
): Result {
  if (told && isTerminal(told.status) && before.request !== "end")
    return onGone(record, before.state);
  const version = told?.version ?? before.version! + 1;
  const next = { ...record, version, failures: 0 };
  if (before.request === "start" && before.state === "starting") return begin(next);
  if (before.request === "end") {
    // Failures go on counting where the service does not remember what it has accepted.
    const failures = before.isRepeating ? before.failures : 0;
    const journal = lean({ ...record.journal!, isTold: true });
    const told = { ...next, ...nothing, journal, failures, losses: undefined };
    return ask({ ...told, state: "idle", isLooking: true });
  }
  const { telling } = before;
  const rest = telling && next.details === telling ? { ...next, details: undefined } : next;
  const { record: after, effects } = ask({ ...rest, state: before.state });
  const isTold = telling && before.state === "running";
  return {
    record: after,
    effects: isTold ? [...effects, { type: "reported", details: telling }] : effects,
  };
}

/** Hands the execution to its handler, unless that has been of no use. */
function begin(before: JobsRecord): Result {
  const { journal, isFresh, hasSlept } = before;
  const { attempts, isRestarting } = journal!;
  const isAnother = !isFresh && !hasSlept && !isRestarting;
  if (isAnother && attempts >= limits.jobAttempts)
    return fail(before, `started ${attempts} times, and came to no end`);
  let record: JobsRecord = { ...before, isFresh: false, hasSlept: false, state: "running" };
  // Otherwise flash has it already.
  if (isAnother) record = withJournal(record, { attempts: attempts + 1 });
  if (isRestarting) record = withJournal(record, { isRestarting: undefined, isRestarted: true });
  return { record, effects: [{ type: "run" }] };
}

function fail(record: JobsRecord, reason: string): Result {
  return finish(record, { status: "FAILED", details: new Map([["reason", reason]]) });
}

/** A report that is on its way is answered first. */
function finish(record: JobsRecord, outcome: Outcome): Result {
  const { jobId, executionNumber, queuedAt, attempts } = record.journal!;
  const next = {
    ...record,
    state: "ended" as const,
    journal: lean({ jobId, executionNumber, queuedAt, attempts, outcome }),
    details: undefined,
    isRenewing: false,
    wantsDocument: false,
  };
  const { record: after, effects } = ask(next);
  return { record: after, effects: [{ type: "ended", outcome }, ...effects] };
}

function onRestart(record: JobsRecord): Result {
  const restarts = (record.journal!.restarts ?? 0) + 1;
  if (restarts > limits.jobRestarts)
    return fail(record, `restarted ${limits.jobRestarts} times, and came to no end`);
  const next = withJournal(record, { restarts, isRestarting: true });
  return { record: { ...next, details: undefined }, effects: [{ type: "restart" }] };
}

/** Somebody else has updated it, or it is over. */
function onDiffering(
  record: JobsRecord,
  event: JobEvent & { readonly type: "mismatch" | "illegal" },
  before: JobState,
): Result {
  const { state } = event;
  const next = { ...answered(record), details: record.details ?? record.telling };
  const isOver = state ? isTerminal(state.status) : event.type === "illegal";
  if (isOver) return onGone(next, before);
  if (!state) return ask({ ...next, version: undefined, isLooking: true });
  const known = { ...next, version: state.version };
  const outcome = record.journal?.outcome;
  if (event.type === "illegal") {
    if (outcome?.status !== "REJECTED" || before !== "ended") return later(known, event.error);
    return ask(withJournal(known, { outcome: { ...outcome, status: "FAILED" } }));
  }
  if (next.failures >= maxMismatches) return later(known);
  return ask({ ...known, failures: next.failures + 1 });
}

const maxMismatches = 3;

/** It would be again: what can be left out is. */
function onRefused(record: JobsRecord, error: AgentError): Result {
  const { request } = record;
  const next = answered(record);
  const fault = { type: "fault", error } as const;
  const isTerse = request === "end" && !record.isTerse;
  if (request !== "report" && !isTerse) return later(record, error);
  const rest = isTerse
    ? { ...next, isTerse }
    : { ...next, details: record.details === record.telling ? undefined : record.details };
  const { record: after, effects } = ask(rest);
  if (isTerse || !record.telling) return { record: after, effects: [fault, ...effects] };
  return {
    record: after,
    effects: [fault, ...effects, { type: "reported", details: record.telling }],
  };
}

/** A document may be longer than a device can keep, or nest deeper: then all but the document is read. */
function onUnreadable(record: JobsRecord, error: AgentError): Result {
  const isGet = record.request === "next" || record.request === "own";
  if (!isGet || record.bare !== undefined) return later({ ...record, bare: undefined }, error);
  const { record: after, effects } = ask({
    ...answered(record),
    bare: error.message,
    isLooking: record.isLooking || record.request === "next",
    isDoubted: record.isDoubted || record.request === "own",
  });
  return { record: after, effects: [{ type: "fault", error }, ...effects] };
}
