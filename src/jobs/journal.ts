// What survives a restart: which execution is in hand, how often it was started, what became of it.
import { readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { fromBase64, toBase64, toUtf8 } from "../util/bytes.js";
import { deepFreeze, lean } from "../util/machine.js";

export type EndStatus = "SUCCEEDED" | "FAILED" | "REJECTED";

export interface Outcome {
  readonly status: EndStatus;
  readonly details: ReadonlyMap<string, string>;
}

export interface Journal {
  readonly jobId: string;
  readonly executionNumber: number;
  readonly queuedAt?: number | undefined;
  /** Whose handler to tell when the execution is over and its document cannot be had any more. */
  readonly operation?: string | undefined;
  /** Starts of the handler, this one included, since it has last progressed. */
  readonly attempts: number;
  /** Restarts that it asked for, since it has last progressed. */
  readonly restarts?: number | undefined;
  /** The machine is to restart, or has just done so. */
  readonly isRestarting?: boolean | undefined;
  readonly isRestarted?: boolean | undefined;
  readonly kept?: Uint8Array | undefined;
  readonly outcome?: Outcome | undefined;
  /** The service knows the outcome. */
  readonly isTold?: boolean | undefined;
}

const shape = deepFreeze({
  job: "string",
  number: "integer",
  queued: "number",
  operation: "string",
  attempts: "integer",
  restarts: "integer",
  restarting: "boolean",
  restarted: "boolean",
  kept: "string",
  status: "string",
  details: "strings",
  told: "boolean",
} as const);

/** Nothing, where there is no execution to remember. */
export function encodeJournal(journal: Journal | undefined): Uint8Array {
  if (journal === undefined) return new Uint8Array(0);
  const { kept, outcome } = journal;
  return toUtf8(
    writeJson({
      job: journal.jobId,
      number: journal.executionNumber,
      queued: journal.queuedAt,
      operation: journal.operation,
      attempts: journal.attempts,
      restarts: journal.restarts,
      restarting: journal.isRestarting,
      restarted: journal.isRestarted,
      kept: kept && toBase64(kept),
      status: outcome?.status,
      details: outcome?.details,
      told: journal.isTold,
    }),
  );
}

/** @throws AgentError "storage/damaged", "codec/json" or "codec/utf8" */
export function decodeJournal(bytes: Uint8Array): Journal | undefined {
  if (bytes.length === 0) return undefined;
  const stored = readJson(bytes, shape, "job") ?? {};
  const { job, number, attempts, status, kept } = stored;
  if (job === undefined || number === undefined || attempts === undefined)
    throw new AgentError("storage/damaged", "job: a member is missing");
  return lean({
    jobId: job,
    executionNumber: number,
    queuedAt: stored.queued,
    operation: stored.operation,
    attempts,
    restarts: stored.restarts,
    isRestarting: stored.restarting,
    isRestarted: stored.restarted,
    kept: kept === undefined ? undefined : fromBase64(kept),
    outcome: status && { status: status as EndStatus, details: stored.details ?? new Map() },
    isTold: stored.told,
  }) as Journal;
}
