// A job as its handler holds it: for as long as it is in hand, what is asked of it is done.
import { type Read, readJson, type Shape } from "../codec/json.js";
import type { Job, StatusDetails } from "./job.js";
import type { EndStatus, Journal } from "./journal.js";
import type { Execution } from "./messages.js";

/** Who knows whether a job is still in hand, and does what it asks. */
export interface JobOwner {
  /** Undefined when the job is not in hand (any more). */
  journalOf(job: Job): Journal | undefined;
  keep(job: Job, state: Uint8Array): void;
  progressed(job: Job): void;
  report(job: Job, details: StatusDetails, onReported: (() => void) | undefined): void;
  finish(job: Job, status: EndStatus, reason: string | undefined, details?: StatusDetails): void;
  restart(job: Job, prepare: (() => void) | undefined): void;
  refresh(job: Job): void;
}

const nothing = new Uint8Array(0);

export class Held implements Job {
  readonly operation: string;
  execution: Execution;
  /** What was known of it when it was over, for whoever is told. */
  last: Journal | undefined;
  /** A restart was asked for: what runs on does so by accident. */
  #isLeaving = false;
  readonly #owner: JobOwner;

  constructor(owner: JobOwner, operation: string, execution: Execution) {
    this.#owner = owner;
    this.operation = operation;
    this.execution = execution;
  }

  get id(): string {
    return this.execution.jobId;
  }

  get executionNumber(): number {
    return this.execution.executionNumber;
  }

  private get journal(): Journal | undefined {
    return this.#owner.journalOf(this) ?? this.last;
  }

  get attempt(): number {
    return this.journal?.attempts ?? 1;
  }

  get isRestarted(): boolean {
    return this.journal?.isRestarted ?? false;
  }

  get document(): Uint8Array {
    return this.execution.document ?? nothing;
  }

  read<S extends Shape>(shape: S): Read<S> {
    return readJson(this.document, shape, "job document");
  }

  get statusDetails(): ReadonlyMap<string, string> {
    return this.execution.statusDetails;
  }

  get secondsLeft(): number | undefined {
    return this.execution.secondsLeft;
  }

  get kept(): Uint8Array | undefined {
    return this.journal?.kept;
  }

  keep(state: Uint8Array): void {
    this.#owner.keep(this, state);
  }

  progressed(): void {
    this.#owner.progressed(this);
  }

  report(details: StatusDetails, onReported?: () => void): void {
    this.#owner.report(this, details, onReported);
  }

  succeed(details?: StatusDetails): void {
    // The end of a function that has asked for a restart is not the end of the job.
    if (!this.#isLeaving) this.#owner.finish(this, "SUCCEEDED", undefined, details);
  }

  fail(reason: string, details?: StatusDetails): void {
    this.#owner.finish(this, "FAILED", reason, details);
  }

  reject(reason: string, details?: StatusDetails): void {
    this.#owner.finish(this, "FAILED", reason, details);
  }

  restart(prepare?: () => void): void {
    this.#isLeaving = true;
    this.#owner.restart(this, prepare);
  }

  refresh(): void {
    this.#owner.refresh(this);
  }
}
