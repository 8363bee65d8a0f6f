// What a device knows of its jobs, what may happen to them, and what is to be done about it. Types only.
import type { AgentError } from "../errors.js";
import type { Journal, Outcome } from "./journal.js";
import type { Execution, ExecutionState } from "./messages.js";
import type { JobState } from "./table.js";

/** `next`: the head of the queue; `own`: the execution in hand; the others are updates of it. */
export type Request = "next" | "own" | "start" | "report" | "end";

export type Details = ReadonlyMap<string, string>;

export interface JobsRecord {
  readonly state: JobState;
  /** All that survives a restart. Of the execution in hand, or of the last one. */
  readonly journal?: Journal | undefined;
  readonly isOnline?: boolean | undefined;
  /** On its way. */
  readonly request?: Request | undefined;
  /** The head of the queue is to be read. */
  readonly isLooking?: boolean | undefined;
  /** The service has named an execution since the head was read last. */
  readonly isHinted?: boolean | undefined;
  /** The execution in hand is not the head: it is to be read itself. */
  readonly isDoubted?: boolean | undefined;
  /** The handler has asked for the document. */
  readonly wantsDocument?: boolean | undefined;
  /** Why the document cannot be taken: what is read next is read without it. */
  readonly bare?: string | undefined;
  /** Of the execution in hand, read over this link. */
  readonly version?: number | undefined;
  /** To be reported. */
  readonly details?: Details | undefined;
  /** On their way. */
  readonly telling?: Details | undefined;
  /** The step timer is to begin anew. */
  readonly isRenewing?: boolean | undefined;
  /** Nothing is reported yet: something was just now. */
  readonly isPaced?: boolean | undefined;
  /** Nothing is asked for before `due`. */
  readonly isWaiting?: boolean | undefined;
  /** The handler was not called yet in the attempt that the journal counts. */
  readonly isFresh?: boolean | undefined;
  /** The machine has slept since the handler was called last, which is no failed attempt. */
  readonly hasSlept?: boolean | undefined;
  /** The service knows the outcome, says it does not, and is to be told again. */
  readonly isRepeating?: boolean | undefined;
  /** The service would not take the outcome's details. */
  readonly isTerse?: boolean | undefined;
  /** Requests in a row that came to nothing. */
  readonly failures: number;
  /** Executions in a row that were over for the service before they were here. */
  readonly losses?: number | undefined;
}

/** Of handler and gates on an execution. */
export type Verdict =
  | { readonly type: "start"; readonly execution: Execution; readonly operation: string }
  | { readonly type: "defer"; readonly execution: Execution; readonly seconds: number }
  | { readonly type: "reject"; readonly execution: Execution; readonly details: Details };

export type JobEvent =
  | {
      readonly type:
        | "subscribed"
        | "lost"
        | "gone"
        | "due"
        | "paced"
        | "renew"
        | "refresh"
        | "progressed"
        | "restart";
    }
  /** Which execution a notification names; undefined when it cannot be read. */
  | {
      readonly type: "hint";
      readonly jobId: string | undefined;
      readonly executionNumber: number | undefined;
      readonly queuedAt?: number | undefined;
    }
  | { readonly type: "next"; readonly execution: Execution | undefined }
  | { readonly type: "own"; readonly execution: Execution }
  | Verdict
  | { readonly type: "accepted"; readonly state: ExecutionState | undefined }
  | { readonly type: "mismatch"; readonly state: ExecutionState | undefined }
  /** InvalidStateTransition. */
  | {
      readonly type: "illegal";
      readonly state: ExecutionState | undefined;
      readonly error: AgentError;
    }
  /** `refused`: the request; `unreadable`: the answer, or the document in it. */
  | { readonly type: "refused" | "unreadable"; readonly error: AgentError }
  /** Not now. @param error what is told of it */
  | { readonly type: "busy"; readonly error: AgentError | undefined }
  | { readonly type: "report"; readonly details: Details }
  | { readonly type: "kept"; readonly state: Uint8Array }
  | { readonly type: "finished"; readonly outcome: Outcome };

export type JobEffect =
  | { readonly type: "get"; readonly which: "next" | "own"; readonly hasDocument: boolean }
  | {
      readonly type: "update";
      readonly status: string;
      readonly details: Details | undefined;
      readonly version: number;
    }
  /** A report was sent: `paced` is to follow. */
  | { readonly type: "pace" }
  /** Handler and gates are to be asked, and a `Verdict` has to follow; `fault` is why there is no document. The last. */
  | {
      readonly type: "judge";
      readonly execution: Execution;
      readonly fault: string | undefined;
    }
  /** The document, the details and the time that is left are these; `fault` is why there is no document. */
  | {
      readonly type: "known";
      readonly execution: Execution;
      readonly isAsked: boolean;
      readonly fault: string | undefined;
    }
  /** The handler is to be called. The last. */
  | { readonly type: "run" }
  /** The execution is over, and `journal` is what was known of it; `hasRun`: its handler was called. The last. */
  | { readonly type: "cancel"; readonly journal: Journal; readonly hasRun: boolean }
  | { readonly type: "reported"; readonly details: Details }
  /** The queue is to be looked at again after these. */
  | { readonly type: "defer"; readonly seconds: number }
  | { readonly type: "wait"; readonly attempt: number }
  | { readonly type: "ended"; readonly outcome: Outcome }
  | { readonly type: "fault"; readonly error: AgentError }
  | { readonly type: "restart" };
