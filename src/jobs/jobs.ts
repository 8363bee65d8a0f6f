// Performs what the queue of jobs decides: saves what has to survive, then asks the handlers and the service.
import { jobsFilters, jobsPrefix, streamsPrefix } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { Requests } from "../mqtt/requests.js";
import type { AgentStatus } from "../status.js";
import { fullJitter } from "../util/backoff.js";
import { readPair, writePair } from "../util/sealed.js";
import type { Wiring } from "../wiring.js";
import { boundedDetails } from "./details.js";
import { planOf } from "./documents.js";
import { FunctionHandler, reasonOf, reboot } from "./handlers.js";
import { Held, type JobOwner } from "./held.js";
import type { Job, JobFunction, JobGate, JobHandler, StatusDetails } from "./job.js";
import {
  decodeJournal,
  type EndStatus,
  encodeJournal,
  type Journal,
  type Outcome,
} from "./journal.js";
import {
  type Execution,
  getRequest,
  parseGot,
  parseHint,
  parseRejected,
  parseUpdated,
  updateRequest,
} from "./messages.js";
import {
  type Details,
  type JobEffect,
  type JobEvent,
  type JobsRecord,
  startingFrom,
  step,
  type Verdict,
} from "./queue.js";
import { Steps } from "./steps.js";

/** What a product asks of the jobs of its device; before `start`. */
export interface JobQueue {
  /**
   * Who runs the jobs of an operation; the last one counts, also in the place of a built-in one: `reboot`, `settings` and
   * `rotate-certificate`.
   */
  on(operation: string, handler: JobHandler | JobFunction): void;
  /** Asked before a job starts and before it restarts the machine; of several the longest wait counts. */
  gate(gate: JobGate): void;
  /**
   * Minutes without a word of the device after which the service ends a running job, 1 to 10,080; 0: never. Default 1440. The
   * device says a word in half of them, as long as it is online.
   */
  stepMinutes: number;
}

/** A handler of the agent's own. */
export interface AgentHandler extends JobHandler {
  onStatus?(job: Job, status: AgentStatus): void;
}

/** What jobs ask of the agent beyond what every part asks. */
export interface JobsWiring extends Wiring {
  /** Of an operation that other parts of the agent do. */
  handlerOf(operation: string): JobHandler | undefined;
  restart(): void;
}

const key = "job";
/** How often what was asked for is tried again. */
const backoff = Object.freeze({ baseMs: 2000, capMs: 300_000 });
/** Of errors that say what is wrong with a document; the others may be over tomorrow. */
const finalKinds: readonly string[] = Object.freeze(["protocol", "config", "refused", "integrity"]);

export class Jobs implements JobQueue, JobOwner {
  readonly #wiring: JobsWiring;
  readonly #handlers = new Map<string, JobHandler>();
  #gates: readonly JobGate[] = [];
  #stepMinutes = 1440;
  #record: JobsRecord = startingFrom(undefined);
  readonly #requests: Requests;
  /** Of the last request. */
  #token: string | undefined;
  /** The execution in hand, and who runs it. */
  #job: Held | undefined;
  #handler: AgentHandler | undefined;
  /** Why there is no document. */
  #documentFault: string | undefined;
  /** Who waits for which report. */
  #onReported: readonly { readonly details: Details; readonly callback: () => void }[] = [];
  #waiting: TimerHandle | undefined;
  #pace: TimerHandle | undefined;
  #renewal: TimerHandle | undefined;
  #restart: TimerHandle | undefined;

  constructor(wiring: JobsWiring) {
    this.#wiring = wiring;
    this.#requests = new Requests(wiring.host.timer, wiring);
  }

  // -- what the product asks --

  on(operation: string, handler: JobHandler | JobFunction): void {
    const own = typeof handler === "function" ? new FunctionHandler(handler) : handler;
    this.#handlers.set(operation, own);
  }

  gate(gate: JobGate): void {
    this.#gates = [...this.#gates, gate];
  }

  get stepMinutes(): number {
    return this.#stepMinutes;
  }

  /** @throws AgentError "agent/options" for what the service does not take */
  set stepMinutes(minutes: number) {
    if (!Number.isInteger(minutes) || minutes < 0 || minutes > 10_080)
      throw new AgentError("agent/options", `jobs.stepMinutes ${minutes} is not 0 to 10080`);
    this.#stepMinutes = minutes;
  }

  // -- what the agent asks --

  /** What was stored decides what the next connect is for. */
  open(): void {
    try {
      const stored = readPair(this.#wiring.store, key);
      const hasSlept = this.#wiring.host.system.resetReason === "deepSleep";
      this.#record = startingFrom(stored && decodeJournal(stored), hasSlept);
    } catch (cause) {
      const message = "job: what is stored cannot be read, the service will say";
      this.#fault(new AgentError("storage/damaged", message, { cause }));
    }
  }

  filters(thingName: string): readonly string[] {
    return jobsFilters(thingName);
  }

  /** The queue was read, as far as the service lets it. */
  get isSettled(): boolean {
    const { state, request, isOnline, isLooking } = this.#record;
    const isReading = request === "next" || isLooking || state === "judging";
    return isOnline === true && !isReading && state !== "starting";
  }

  /** No job runs, and nothing is to be told. */
  get isIdle(): boolean {
    const { state, request } = this.#record;
    return (state === "idle" || state === "deferred") && request === undefined;
  }

  /** The link is up and subscribed, perhaps again. */
  online(): void {
    if (this.#record.isOnline) return;
    this.event({ type: "subscribed" });
    this.#handle((handler, job) => handler.online?.(job));
  }

  lost(): void {
    if (!this.#record.isOnline) return;
    this.#wiring.host.timer.clear(this.#waiting);
    this.#requests.answered();
    this.#token = undefined;
    this.event({ type: "lost" });
    this.#handle((handler, job) => handler.offline?.(job));
  }

  onStatus(status: AgentStatus): void {
    this.#handle((handler, job) => handler.onStatus?.(job, status));
  }

  /** @returns false for a topic that is nothing of jobs */
  onMessage(topic: string, payload: Uint8Array): boolean {
    const { thingName = "" } = this.#wiring;
    if (topic.startsWith(streamsPrefix(thingName))) {
      this.#handle((handler, job) => handler.onMessage?.(job, topic, payload));
      return true;
    }
    const suffix = this.#suffixOf(topic);
    if (suffix === undefined) return false;
    try {
      this.#read(suffix, payload);
    } catch (error) {
      if (!(error instanceof AgentError) || error.kind !== "protocol") throw error;
      this.#unreadable(suffix, error);
    }
    return true;
  }

  onOversize(topic: string, error: AgentError): boolean {
    const suffix = this.#suffixOf(topic);
    if (suffix !== undefined) this.#unreadable(suffix, error);
    return suffix !== undefined;
  }

  #suffixOf(topic: string): string | undefined {
    const prefix = jobsPrefix(this.#wiring.thingName ?? "");
    return topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined;
  }

  // -- what the service says --

  #read(suffix: string, payload: Uint8Array): void {
    if (this.#record.state === "restarting") return;
    if (suffix === "notify-next") return this.event({ type: "hint", ...parseHint(payload) });
    if (!this.#isAnswer(suffix)) return;
    if (suffix.endsWith("/rejected")) return this.#onRejected(suffix, payload);
    if (suffix.endsWith("/update/accepted")) {
      const { clientToken, state } = parseUpdated(payload);
      if (this.#answered(clientToken)) this.event({ type: "accepted", state });
      return;
    }
    const { clientToken, execution } = parseGot(payload);
    const { request } = this.#record;
    if (!this.#answered(clientToken)) return;
    if (request === "next") {
      for (const handler of this.#handlers.values()) handler.onNext?.(execution);
      this.event({ type: "next", execution });
    } else if (execution) this.event({ type: "own", execution });
    else this.event({ type: "gone" });
  }

  #onRejected(suffix: string, payload: Uint8Array): void {
    const { request } = this.#record;
    const kind = suffix.endsWith("/get/rejected") ? "get" : "update";
    const { clientToken, code, error, state } = parseRejected(payload, kind);
    if (!this.#answered(clientToken)) return;
    switch (code) {
      case "ResourceNotFound":
      case "TerminalStateReached":
        if (request !== "next") return this.event({ type: "gone" });
        return this.event({ type: "busy", error });
      case "VersionMismatch":
        if (kind === "update") return this.event({ type: "mismatch", state });
        return this.event({ type: "busy", error });
      case "InvalidStateTransition":
        if (kind === "update") return this.event({ type: "illegal", state, error });
        return this.event({ type: "busy", error });
      case "InvalidRequest":
      case "InvalidJson":
      case "InvalidTopic":
        return this.event({ type: "refused", error });
      default:
        return this.event({ type: "busy", error });
    }
  }

  /** Of the kind that is waited for: the token says whether it is the one. */
  #isAnswer(suffix: string): boolean {
    const { request } = this.#record;
    if (request === undefined || this.#token === undefined) return false;
    const isGet = request === "next" || request === "own";
    return (
      suffix.endsWith(isGet ? "/get/accepted" : "/update/accepted") ||
      suffix.endsWith(isGet ? "/get/rejected" : "/update/rejected")
    );
  }

  #answered(clientToken: string | undefined): boolean {
    if (clientToken === undefined || clientToken !== this.#token) return false;
    this.#token = undefined;
    this.#requests.answered();
    return true;
  }

  /** What cannot be read now cannot be read later. */
  #unreadable(suffix: string, error: AgentError): void {
    if (this.#record.state === "restarting") return;
    if (suffix === "notify-next") {
      this.#fault(error);
      this.event({ type: "hint", jobId: undefined, executionNumber: undefined });
    } else if (this.#isAnswer(suffix)) {
      this.#token = undefined;
      this.#requests.answered();
      this.event({ type: "unreadable", error });
    } else this.#fault(error);
  }

  // -- the machine --

  event(event: JobEvent): void {
    const before = this.#record;
    const { record, effects } = step(before, event);
    this.#record = record;
    const { journal } = record;
    if (journal !== before.journal && !this.#save(journal) && journal && !journal.outcome) {
      // A start that cannot be counted could be repeated for ever. Nothing of it is done, nor asked for.
      const isAsking = effects.some(({ type }) => type === "update" || type === "get");
      if (isAsking) this.#record = { ...record, request: undefined };
      const details = boundedDetails({}, "nothing can be saved: storage refuses");
      return this.event({ type: "finished", outcome: { status: "FAILED", details } });
    }
    for (const effect of effects) this.#perform(effect);
  }

  #save(journal: Journal | undefined): boolean {
    try {
      writePair(this.#wiring.store, key, encodeJournal(journal));
      return true;
    } catch (cause) {
      this.#fault(new AgentError("storage/write", "job: not saved", { cause }));
      return false;
    }
  }

  #perform(effect: JobEffect): void {
    switch (effect.type) {
      case "get":
        return this.#get(effect.which, effect.hasDocument);
      case "update":
        return this.#update(effect);
      case "pace":
        return this.#paced();
      case "judge":
        return this.#judge(effect.execution, effect.fault);
      case "known":
        return this.#know(effect);
      case "run":
        return this.#run();
      case "cancel":
        return this.#cancel();
      case "reported":
        return this.#reported(effect.details);
      case "defer":
        return this.#wait(effect.seconds * 1000);
      case "wait": {
        const chance = this.#wiring.host.crypto.random(1)[0]! / 256;
        return this.#wait(backoff.baseMs + fullJitter(backoff, effect.attempt, chance));
      }
      case "ended":
        return this.#ended(effect.outcome);
      case "fault":
        return this.#fault(effect.error);
      case "restart":
        return this.#wiring.restart();
    }
  }

  #get(which: "next" | "own", includeJobDocument: boolean): void {
    const { jobId, executionNumber } = this.#record.journal ?? {};
    const isOwn = which === "own";
    const payload = getRequest({
      clientToken: this.#newToken(),
      executionNumber: isOwn ? executionNumber : undefined,
      includeJobDocument,
    });
    this.#send(`${isOwn ? jobId : "$next"}/get`, payload);
  }

  #update({ status, details, version }: JobEffect & { readonly type: "update" }): void {
    const { jobId, executionNumber } = this.#record.journal!;
    const isRunning = status === "IN_PROGRESS";
    const payload = updateRequest({
      status,
      statusDetails: details,
      expectedVersion: version,
      executionNumber,
      stepTimeoutInMinutes: isRunning && this.#stepMinutes > 0 ? this.#stepMinutes : undefined,
      clientToken: this.#newToken(),
    });
    if (isRunning) this.#renewIn(this.#stepMinutes * 30_000);
    if (details && isRunning)
      this.#emit({ state: "progress", jobId, details: Object.fromEntries(details) });
    // The product may have stopped the agent when it was told.
    if (this.#record.request !== undefined) this.#send(`${jobId}/update`, payload);
  }

  #newToken(): string {
    this.#token = this.#wiring.newToken();
    return this.#token;
  }

  #send(suffix: string, payload: Uint8Array): void {
    const topic = jobsPrefix(this.#wiring.thingName!) + suffix;
    this.#requests.send(this.#wiring.session, topic, payload, () => {
      this.#token = undefined;
      if (this.#record.state === "restarting") return;
      const error = new AgentError("job/timeout", `jobs ${suffix}: no answer`);
      this.event({ type: "busy", error });
    });
  }

  #wait(delayMs: number): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#waiting);
    this.#waiting = timer.set(() => this.#wiring.enter(() => this.event({ type: "due" })), delayMs);
  }

  #paced(): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#pace);
    this.#pace = timer.set(
      () => this.#wiring.enter(() => this.event({ type: "paced" })),
      limits.jobReportMs,
    );
  }

  /** @param delayMs 0: never */
  #renewIn(delayMs: number): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#renewal);
    if (delayMs === 0) return;
    const renew = () => {
      if (this.#record.state === "running") this.event({ type: "renew" });
    };
    this.#renewal = timer.set(() => this.#wiring.enter(renew), delayMs);
  }

  // -- the handlers --

  #find(operation: string): JobHandler | undefined {
    const own = this.#handlers.get(operation) ?? this.#wiring.handlerOf(operation);
    return own ?? (operation === "reboot" ? reboot : undefined);
  }

  /** @throws AgentError for a document that asks for nothing, or for what nobody here does */
  #take(execution: Execution, fault: string | undefined): void {
    const { document } = execution;
    this.#job = new Held(this, "", execution);
    if (!document) throw new AgentError("job/document", fault ?? "job document: there is none");
    const { operation, actions } = planOf(document);
    const find = (name: string) => this.#find(name);
    const handler = actions ? new Steps(actions, find) : find(operation);
    this.#job = new Held(this, operation, execution);
    this.#handler = handler;
    if (!handler) throw new AgentError("job/document", `not honoured on this device: ${operation}`);
  }

  #judge(execution: Execution, fault: string | undefined): void {
    this.event(this.#verdictOn(execution, fault));
  }

  #verdictOn(execution: Execution, fault: string | undefined): Verdict {
    let reason: string | undefined;
    try {
      this.#take(execution, fault);
    } catch (cause) {
      if (!isFinal(cause)) throw cause;
      reason = cause.message;
    }
    const { jobId } = execution;
    const job = this.#job!;
    this.#emit({ state: "queued", jobId, operation: job.operation });
    reason ??= this.#faultOf(job);
    if (reason !== undefined)
      return { type: "reject", execution, details: boundedDetails({}, reason) };
    const seconds = this.#closedFor(job, "start");
    if (seconds === undefined) return { type: "start", execution };
    this.#emit({ state: "deferred", jobId, about: "start", seconds });
    return { type: "defer", execution, seconds };
  }

  #faultOf(job: Job): string | undefined {
    try {
      return this.#handler?.check?.(job);
    } catch (cause) {
      if (isFinal(cause)) return cause.message;
      this.#fault(new AgentError("agent/fault", "job: check threw", { cause }));
      return `check failed: ${reasonOf(cause)}`;
    }
  }

  /** @returns seconds, 1 at least */
  #closedFor(job: Job, about: "start" | "restart"): number | undefined {
    let longest: number | undefined;
    for (const gate of this.#gates) {
      const seconds = this.#ask(gate, job, about);
      if (seconds !== undefined) longest = Math.max(longest ?? 1, seconds);
    }
    return longest;
  }

  #ask(gate: JobGate, job: Job, about: "start" | "restart"): number | undefined {
    try {
      const seconds = gate(job, about);
      if (seconds === undefined) return undefined;
      if (seconds > 0) return Math.min(seconds, limits.jobGateMostMs / 1000);
      throw new AgentError("agent/options", `job: a gate says ${seconds} seconds`);
    } catch (cause) {
      this.#fault(new AgentError("agent/fault", "job: a gate cannot be asked", { cause }));
      return limits.jobGateMs / 1000;
    }
  }

  /** After a restart it is not known yet who runs it: that is looked for when it runs. */
  #know({ execution, isAsked, fault }: JobEffect & { readonly type: "known" }): void {
    const { secondsLeft } = execution;
    if (secondsLeft !== undefined && this.#stepMinutes > 0)
      this.#renewIn(Math.max(30_000, Math.min(this.#stepMinutes * 30_000, secondsLeft * 500)));
    const { state } = this.#record;
    if (this.#job && state === "running" && execution.document === undefined) return;
    if (this.#job) this.#job.execution = execution;
    else this.#job = new Held(this, "", execution);
    this.#documentFault = fault;
    if (isAsked) this.#handle((handler, job) => handler.onDocument?.(job));
  }

  #run(): void {
    const { execution } = this.#job!;
    try {
      if (!this.#handler) this.#take(execution, this.#documentFault);
      const { attempts } = this.#record.journal!;
      this.#emit({ state: "started", jobId: execution.jobId, attempt: attempts });
    } catch (cause) {
      if (!isFinal(cause)) throw cause;
      return this.finish(this.#job!, "FAILED", cause.message);
    }
    this.#handle((handler, job) => handler.run(job));
  }

  /** What a handler throws ends its job. */
  #handle(work: (handler: AgentHandler, job: Held) => void): void {
    const job = this.#job;
    const handler = this.#handler;
    if (!job || !handler || this.#record.state !== "running") return;
    try {
      work(handler, job);
    } catch (cause) {
      this.finish(job, "FAILED", reasonOf(cause));
    }
  }

  #cancel(): void {
    const job = this.#job;
    const handler = this.#handler;
    this.#let();
    if (!job) return;
    this.#emit({ state: "ended", jobId: job.id, status: "CANCELED", reason: "" });
    try {
      handler?.cancel?.(job);
    } catch (cause) {
      this.#fault(new AgentError("agent/fault", "job: cancel threw", { cause }));
    }
  }

  #ended({ status, details }: Outcome): void {
    const { jobId } = this.#record.journal!;
    this.#let();
    this.#emit({ state: "ended", jobId, status, reason: details.get("reason") ?? "" });
  }

  /** The job is nobody's any more. */
  #let(): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#renewal);
    timer.clear(this.#restart);
    this.#job = undefined;
    this.#handler = undefined;
    this.#onReported = [];
  }

  #reported(details: Details): void {
    const waiting = this.#onReported.find(one => one.details === details);
    if (waiting) this.#handle(() => waiting.callback());
  }

  // -- what a handler asks --

  journalOf(job: Job): Journal | undefined {
    const { state, journal } = this.#record;
    return job === this.#job && state === "running" ? journal : undefined;
  }

  keep(job: Job, state: Uint8Array): void {
    if (state.length > limits.jobKeptBytes)
      throw new AgentError(
        "agent/options",
        `job: ${state.length} bytes are to be kept, at most ${limits.jobKeptBytes}`,
      );
    const journal = this.journalOf(job);
    if (!journal) return;
    const kept = state.slice();
    try {
      writePair(this.#wiring.store, key, encodeJournal({ ...journal, kept }));
    } catch (cause) {
      throw new AgentError("storage/write", "job: what is to be kept is not saved", { cause });
    }
    this.#record = step(this.#record, { type: "kept", state: kept }).record;
  }

  progressed(job: Job): void {
    const journal = this.journalOf(job);
    if (!journal || (journal.attempts === 1 && !journal.restarts)) return;
    const { record } = step(this.#record, { type: "progressed" });
    // Were it not, the attempts before would count as well.
    if (this.#save(record.journal)) this.#record = record;
  }

  report(job: Job, details: StatusDetails, onReported: (() => void) | undefined): void {
    if (!this.journalOf(job)) return;
    const bounded = boundedDetails(details);
    // Beside it that of the report which is on its way: the others are never made.
    const rest = this.#onReported.filter(one => one.details === this.#record.telling);
    this.#onReported = onReported ? [...rest, { details: bounded, callback: onReported }] : rest;
    this.#wiring.enter(() => this.event({ type: "report", details: bounded }));
  }

  finish(job: Job, status: EndStatus, reason: string | undefined, details?: StatusDetails): void {
    if (!this.journalOf(job)) return;
    const outcome = { status, details: boundedDetails(details, reason) };
    this.#wiring.enter(() => this.event({ type: "finished", outcome }));
  }

  restart(job: Job, prepare: (() => void) | undefined): void {
    const { timer } = this.#wiring.host;
    if (!this.journalOf(job)) return;
    timer.clear(this.#restart);
    const seconds = this.#closedFor(job, "restart");
    if (seconds === undefined) return this.#wiring.enter(() => this.#leave(job, prepare));
    this.#emit({ state: "deferred", jobId: job.id, about: "restart", seconds });
    this.#restart = timer.set(() => this.restart(job, prepare), seconds * 1000);
  }

  #leave(job: Job, prepare: (() => void) | undefined): void {
    try {
      prepare?.();
    } catch (cause) {
      return this.finish(job, "FAILED", reasonOf(cause));
    }
    if (this.journalOf(job)) this.event({ type: "restart" });
  }

  refresh(job: Job): void {
    if (this.journalOf(job)) this.#wiring.enter(() => this.event({ type: "refresh" }));
  }

  #emit(status: JobStatus): void {
    this.#wiring.emit({ type: "job", ...status });
  }

  #fault(error: AgentError): void {
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
