// The handlers of the jobs, and the job that one of them holds: what they are asked, what they ask, what they throw.
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { AgentStatus } from "../status.js";
import type { Wiring } from "../wiring.js";
import { boundedDetails } from "./details.js";
import { planOf } from "./documents.js";
import { FunctionHandler, reasonOf, reboot } from "./handlers.js";
import { Held, type JobOwner } from "./held.js";
import type { Job, JobFunction, JobGate, JobHandler, StatusDetails } from "./job.js";
import type { EndStatus, Journal, Outcome } from "./journal.js";
import type { Execution } from "./messages.js";
import type { Details, JobEffect, JobEvent, JobsRecord, Verdict } from "./record.js";
import { Steps } from "./steps.js";

/** A handler of the agent's own. */
export interface AgentHandler extends JobHandler {
  onStatus?(job: Job, status: AgentStatus): void;
  /** The broker has acknowledged a request of jobs: told to every handler there is, whatever runs. */
  onAcknowledged?(): void;
}

/** What jobs ask of the agent beyond what every part asks. */
export interface JobsWiring extends Wiring {
  /** Of an operation that other parts of the agent do. */
  handlerOf(operation: string): JobHandler | undefined;
  restart(): void;
}

/** Where the state of the job in hand is. */
export interface Machine {
  readonly record: JobsRecord;
  event(event: JobEvent): void;
  /** @throws AgentError "storage/write" */
  keep(state: Uint8Array): void;
  progressed(): void;
}

const noDocument = "job document: there is none";
/** Of errors that say what is wrong with a document; the others may be over tomorrow. */
const finalKinds: readonly string[] = Object.freeze(["protocol", "config", "refused", "integrity"]);

export class Desk implements JobOwner {
  readonly #wiring: JobsWiring;
  readonly #machine: Machine;
  readonly #handlers = new Map<string, AgentHandler>();
  #gates: readonly JobGate[] = [];
  /** The execution in hand, and who runs it. */
  #job: Held | undefined;
  #handler: AgentHandler | undefined;
  /** Why there is no document. */
  #documentFault: string | undefined;
  /** The document was read again since it was judged. */
  #isUnjudged = false;
  /** Who waits for which report. */
  #onReported: readonly { readonly details: Details; readonly callback: () => void }[] = [];
  #restart: TimerHandle | undefined;
  /** To be called when it is saved that the machine restarts. */
  #prepare: (() => void) | undefined;

  constructor(wiring: JobsWiring, machine: Machine) {
    this.#wiring = wiring;
    this.#machine = machine;
  }

  on(operation: string, handler: JobHandler | JobFunction): void {
    const own = typeof handler === "function" ? new FunctionHandler(handler) : handler;
    this.#handlers.set(operation, own);
  }

  gate(gate: JobGate): void {
    this.#gates = [...this.#gates, gate];
  }

  private find(operation: string): JobHandler | undefined {
    const own = this.#handlers.get(operation) ?? this.#wiring.handlerOf(operation);
    return own ?? (operation === "reboot" ? reboot : undefined);
  }

  /** @throws AgentError for a document that asks for nothing, or for what nobody here does */
  private take(execution: Execution, fault: string | undefined): void {
    const { document } = execution;
    this.#job = new Held(this, "", execution);
    if (!document) throw new AgentError("job/document", fault ?? noDocument);
    const { operation, actions } = planOf(document);
    const find = (name: string) => this.find(name);
    const handler = actions ? new Steps(actions, find) : find(operation);
    this.#job = new Held(this, operation, execution);
    this.#handler = handler;
    if (!handler) throw new AgentError("job/document", `not honoured on this device: ${operation}`);
  }

  judge(execution: Execution, fault: string | undefined): Verdict {
    let reason: string | undefined;
    try {
      this.take(execution, fault);
    } catch (cause) {
      if (!isFinal(cause)) throw cause;
      reason = cause.message;
    }
    const { jobId } = execution;
    const job = this.#job!;
    this.emit({ state: "queued", jobId, operation: job.operation });
    reason ??= this.faultOf(job);
    if (reason !== undefined)
      return { type: "reject", execution, details: boundedDetails({}, reason) };
    const seconds = this.closedFor(job, "start");
    if (seconds === undefined) {
      const operation = this.#handler instanceof Steps ? this.#handler.names : job.operation;
      return { type: "start", execution, operation };
    }
    // Its document may be long, and will be read again.
    this.release();
    this.emit({ state: "deferred", jobId, about: "start", seconds });
    return { type: "defer", execution, seconds };
  }

  private faultOf(job: Job): string | undefined {
    try {
      return this.#handler?.check?.(job);
    } catch (cause) {
      if (isFinal(cause)) return cause.message;
      this.fault(new AgentError("agent/fault", "job: check threw", { cause }));
      return `check failed: ${reasonOf(cause)}`;
    }
  }

  /** @returns seconds, 1 at least */
  private closedFor(job: Job, about: "start" | "restart"): number | undefined {
    let longest: number | undefined;
    for (const gate of this.#gates) {
      const seconds = this.ask(gate, job, about);
      if (seconds !== undefined) longest = Math.max(longest ?? 1, seconds);
    }
    return longest;
  }

  private ask(gate: JobGate, job: Job, about: "start" | "restart"): number | undefined {
    try {
      const seconds = gate(job, about);
      if (seconds === undefined) return undefined;
      if (seconds > 0) return Math.min(seconds, limits.jobGateMostMs / 1000);
      throw new AgentError("agent/options", `job: a gate says ${seconds} seconds`);
    } catch (cause) {
      this.fault(new AgentError("agent/fault", "job: a gate cannot be asked", { cause }));
      return limits.jobGateMs / 1000;
    }
  }

  /** After a restart it is not known yet who runs it: that is looked for when it runs. */
  know({ execution, isAsked, fault }: JobEffect & { readonly type: "known" }): void {
    const { state } = this.#machine.record;
    const isNeeded = state === "starting" || state === "running";
    const isMissing = execution.document === undefined;
    if (!isNeeded || (this.#handler && isMissing && !isAsked)) return;
    this.#isUnjudged = this.#handler !== undefined;
    if (this.#job) this.#job.execution = execution;
    else this.#job = new Held(this, "", execution);
    this.#documentFault = fault;
    if (!isAsked) return;
    if (isMissing) this.end(fault ?? noDocument);
    else this.tell((handler, job) => handler.onDocument?.(job));
  }

  run(): void {
    const { execution } = this.#job!;
    try {
      if (!this.#handler || this.#isUnjudged) this.take(execution, this.#documentFault);
      const { attempts } = this.#machine.record.journal!;
      this.emit({ state: "started", jobId: execution.jobId, attempt: attempts });
    } catch (cause) {
      if (!isFinal(cause)) throw cause;
      return this.finish(this.#job!, "FAILED", cause.message);
    }
    const fault = this.#isUnjudged ? this.faultOf(this.#job!) : undefined;
    if (fault !== undefined) return this.finish(this.#job!, "FAILED", fault);
    this.tell((handler, job) => handler.run(job));
  }

  /** What a handler throws ends its job. */
  tell(work: (handler: AgentHandler, job: Held) => void): void {
    const job = this.#job;
    const handler = this.#handler;
    if (!job || !handler || this.#machine.record.state !== "running") return;
    try {
      work(handler, job);
    } catch (cause) {
      this.finish(job, "FAILED", reasonOf(cause));
    }
  }

  /** After a restart the document is not known any more, and the handler is found by the operation alone. */
  cancel(journal: Journal, hasRun: boolean): void {
    const { jobId, executionNumber, operation = "" } = journal;
    const known = { jobId, executionNumber, status: "", version: 0, statusDetails: new Map() };
    const over = { ...known, secondsLeft: undefined, document: undefined };
    const isSteps = operation.includes("\n");
    const job = this.#job ?? new Held(this, isSteps ? "steps" : operation, over);
    const find = (name: string) => this.find(name);
    const handler = this.#handler ?? (isSteps ? Steps.named(operation, find) : find(operation));
    this.release();
    job.last = journal;
    this.emit({ state: "ended", jobId, status: "CANCELED", reason: "" });
    if (hasRun) this.stop(handler, job);
  }

  private stop(handler: JobHandler | undefined, job: Job): void {
    try {
      handler?.cancel?.(job);
    } catch (cause) {
      this.fault(new AgentError("agent/fault", "job: cancel threw", { cause }));
    }
  }

  /** It has failed for reasons that are not its handler's. */
  private end(reason: string): void {
    const [job, handler] = [this.#job!, this.#handler];
    this.finish(job, "FAILED", reason);
    this.stop(handler, job);
  }

  ended({ status, details }: Outcome): void {
    const { jobId } = this.#machine.record.journal!;
    this.release();
    this.emit({ state: "ended", jobId, status, reason: details.get("reason") ?? "" });
  }

  /** The job is nobody's any more. */
  private release(): void {
    this.#wiring.host.timer.clear(this.#restart);
    this.#job = undefined;
    this.#handler = undefined;
    this.#prepare = undefined;
    this.#isUnjudged = false;
    this.#onReported = [];
  }

  /** In a turn of its own, as `run`: what follows may write flash and restart. */
  reported(details: Details): void {
    const waiting = this.#onReported.find(one => one.details === details);
    const job = this.#job;
    if (!waiting || !job) return;
    const whenDue = () => {
      if (this.journalOf(job)) this.tell(() => waiting.callback());
    };
    this.#wiring.host.timer.set(() => this.#wiring.enter(whenDue), 0);
  }

  // -- what a handler asks --

  journalOf(job: Job): Journal | undefined {
    const { state, journal } = this.#machine.record;
    const isInHand = state === "running" || state === "restarting";
    return job === this.#job && isInHand ? journal : undefined;
  }

  private isRunning(job: Job): boolean {
    return job === this.#job && this.#machine.record.state === "running";
  }

  keep(job: Job, state: Uint8Array): void {
    if (state.length > limits.jobKeptBytes)
      throw new AgentError(
        "agent/options",
        `job: ${state.length} bytes are to be kept, at most ${limits.jobKeptBytes}`,
      );
    const journal = this.journalOf(job);
    if (!journal) return;
    this.#machine.keep(state.slice());
  }

  progressed(job: Job): void {
    const { attempts, restarts } = this.#machine.record.journal ?? {};
    if (!this.isRunning(job) || (attempts === 1 && !restarts)) return;
    this.#machine.progressed();
  }

  report(job: Job, details: StatusDetails, onReported: (() => void) | undefined): void {
    if (!this.isRunning(job)) return;
    const bounded = boundedDetails(details);
    // Beside it that of the report which is on its way: the others are never made.
    const rest = this.#onReported.filter(one => one.details === this.#machine.record.telling);
    this.#onReported = onReported ? [...rest, { details: bounded, callback: onReported }] : rest;
    this.#wiring.enter(() => this.#machine.event({ type: "report", details: bounded }));
  }

  finish(job: Job, status: EndStatus, reason: string | undefined, details?: StatusDetails): void {
    if (!this.journalOf(job)) return;
    const outcome = { status, details: boundedDetails(details, reason) };
    this.#wiring.enter(() => this.#machine.event({ type: "finished", outcome }));
  }

  restart(job: Job, prepare: (() => void) | undefined): void {
    const { timer } = this.#wiring.host;
    if (!this.isRunning(job)) return;
    timer.clear(this.#restart);
    const seconds = this.closedFor(job, "restart");
    if (seconds === undefined) return this.#wiring.enter(() => this.depart(job, prepare));
    this.emit({ state: "deferred", jobId: job.id, about: "restart", seconds });
    this.#restart = timer.set(() => this.restart(job, prepare), seconds * 1000);
  }

  /** Saved before it is prepared: what is prepared cannot be taken back. */
  private depart(job: Job, prepare: (() => void) | undefined): void {
    const handler = this.#handler;
    let isReached = false;
    this.#prepare = () => {
      isReached = true;
      prepare?.();
    };
    this.#machine.event({ type: "restart" });
    // Too often, or flash does not take it.
    if (!isReached) this.stop(handler, job);
  }

  /** It is saved. */
  leave(): void {
    const job = this.#job!;
    try {
      this.#prepare?.();
    } catch (cause) {
      return this.finish(job, "FAILED", reasonOf(cause));
    }
    if (this.journalOf(job)) this.#wiring.restart();
  }

  /** All handlers hear what comes next, whatever runs. */
  next(execution: Execution | undefined): void {
    for (const handler of this.#handlers.values()) {
      try {
        handler.onNext?.(execution);
      } catch (cause) {
        this.fault(new AgentError("agent/fault", "job: onNext threw", { cause }));
      }
    }
  }

  acknowledged(): void {
    for (const handler of this.#handlers.values()) handler.onAcknowledged?.();
  }

  refresh(job: Job): void {
    if (this.isRunning(job)) this.#wiring.enter(() => this.#machine.event({ type: "refresh" }));
  }

  private emit(status: JobStatus): void {
    this.#wiring.emit({ type: "job", ...status });
  }

  private fault(error: AgentError): void {
    this.#wiring.emit({ type: "fault", error });
  }
}

type JobStatus = AgentStatus extends infer S
  ? S extends { readonly type: "job" }
    ? Omit<S, "type">
    : never
  : never;

function isFinal(cause: unknown): cause is AgentError {
  return cause instanceof AgentError && finalKinds.includes(cause.kind);
}
