// What a handler holds of the job that runs, and what is asked of a handler. Types only.
import type { Read, Shape } from "../codec/json.js";

/**
 * By name, 1 to 128 of `[a-zA-Z0-9:_-]`, a text. Ten at most are told, each cut to 1024 bytes, all together to 3000, control
 * characters replaced; what has no name or no text the service would take is left out.
 */
export type StatusDetails = { readonly [name: string]: string };

export interface Job {
  readonly id: string;
  /** As the document says, or the name of a managed template's action. */
  readonly operation: string;
  readonly executionNumber: number;
  /** From 1; starts of the handler for this execution that did not follow a restart the job itself has asked for, nor a deep sleep. */
  readonly attempt: number;
  /** Whether the machine has restarted since because the job asked for it. */
  readonly isRestarted: boolean;
  /** The job document as JSON, UTF-8; for a step of a managed template that step's action. */
  readonly document: Uint8Array;
  /** Reads the document by shape. @throws AgentError "codec/json" or "codec/utf8" */
  read<S extends Shape>(shape: S): Read<S>;
  /** What the service held when the document was read: what an earlier run reported. */
  readonly statusDetails: ReadonlyMap<string, string>;
  /** Seconds after which the service ended the execution, when the document was read; undefined without a timer. */
  readonly secondsLeft: number | undefined;
  /** What `keep` kept last, for this execution. */
  readonly kept: Uint8Array | undefined;
  /** Kept over restarts until the job ends. @param state at most 1024 bytes @throws AgentError "storage/write", or "agent/options" for more */
  keep(state: Uint8Array): void;
  /** The attempts and restarts count anew: something was achieved. */
  progressed(): void;
  /**
   * Status IN_PROGRESS with details, which renews the step timer. One at a time is on its way, and none within two seconds of
   * another: of those that wait the newest is told, the others never are.
   *
   * @param onReported the service has accepted these details, or will never take them; never called for those that are not told
   */
  report(details: StatusDetails, onReported?: () => void): void;
  /** Ends the job; whatever is called after one of these three does nothing. */
  succeed(details?: StatusDetails): void;
  fail(reason: string, details?: StatusDetails): void;
  /** As `fail`: the service may refuse REJECTED once an execution is in progress. */
  reject(reason: string, details?: StatusDetails): void;
  /**
   * Saves, then restarts the machine, when the gates let it; the handler is called again afterwards with `isRestarted`.
   *
   * @param prepare called when they let it, at the very last; a throw ends the job FAILED
   */
  restart(prepare?: () => void): void;
  /** Asks the service for the document again, with fresh links; the handler's `onDocument` follows. */
  refresh(): void;
}

export interface JobHandler {
  /**
   * Asked before the job is started.
   *
   * @returns why this document can never work (REJECTED), or undefined; an AgentError of kind protocol, config, refused or
   *          integrity is the same, with its message
   */
  check?(job: Job): string | undefined;
  /** Begins, or goes on after a restart. What it throws ends the job FAILED. */
  run(job: Job): void;
  /**
   * The execution was cancelled, removed, has timed out, or has failed for a reason that is not the handler's (flash that cannot
   * save, too many restarts, a document that did not come again): stop at once. Nothing that `job` is asked for has an effect any more.
   * Also when that was found out after a restart, before `run` was called again: then there is no document.
   */
  cancel?(job: Job): void;
  /** After `refresh`: `job.document` is new. */
  onDocument?(job: Job): void;
  /** The link is up and subscribed, while the job runs. */
  online?(job: Job): void;
  /** The link is lost, while the job runs. */
  offline?(job: Job): void;
  /** The service has said what comes next in the queue, if anything: asked of every handler there is, whatever runs. */
  onNext?(next: { readonly jobId: string; readonly executionNumber: number } | undefined): void;
  /** A message on `$aws/things/{thing}/streams/`, while the job runs. */
  onMessage?(job: Job, topic: string, payload: Uint8Array): void;
}

/**
 * `JobHandler.run` alone. A promise that it returns ends the job: SUCCEEDED when it resolves and nothing else was said, FAILED
 * with the reason when it rejects. Without one the function ends the job by itself, now or later.
 */
export type JobFunction = (job: Job) => unknown;

/** Whether a job may start, or restart the machine, now. @returns seconds after which to ask again, or undefined: it may */
export type JobGate = (job: Job, about: "start" | "restart") => number | undefined;
