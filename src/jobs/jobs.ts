// Performs what the queue of jobs decides: saves what has to survive, then asks the handlers and the service.
import { jobsFilters, jobsPrefix, streamsPrefix } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { Requests } from "../mqtt/requests.js";
import type { AgentStatus } from "../status.js";
import { fullJitter } from "../util/backoff.js";
import { readPair, writePair } from "../util/sealed.js";
import { Desk, type JobsWiring, type Machine } from "./desk.js";
import { boundedDetails } from "./details.js";
import type { JobFunction, JobGate, JobHandler } from "./job.js";
import { decodeJournal, encodeJournal, type Journal } from "./journal.js";
import {
  getRequest,
  parseGot,
  parseHint,
  parseRejected,
  parseUpdated,
  updateRequest,
} from "./messages.js";
import { startingFrom, step } from "./queue.js";
import type { JobEffect, JobEvent, JobsRecord } from "./record.js";
import type { JobState } from "./table.js";

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

const key = "job";
/** How often what was asked for is tried again. */
const backoff = Object.freeze({ baseMs: 2000, capMs: 300_000 });

/** As many answers in a row may be lost before it is told, as with shadows. */
const untoldSilences = 2;

export class Jobs implements JobQueue, Machine {
  readonly #wiring: JobsWiring;
  readonly #desk: Desk;
  #stepMinutes = 1440;
  #record: JobsRecord = startingFrom(undefined);
  readonly #requests: Requests;
  /** Of the last request. */
  #token: string | undefined;
  #waiting: TimerHandle | undefined;
  #pace: TimerHandle | undefined;
  #renewal: TimerHandle | undefined;
  #turn: TimerHandle | undefined;
  #asking: TimerHandle | undefined;

  constructor(wiring: JobsWiring) {
    this.#wiring = wiring;
    this.#desk = new Desk(wiring, this);
    this.#requests = new Requests(wiring.host.timer, wiring);
  }

  // -- what the product asks --

  on(operation: string, handler: JobHandler | JobFunction): void {
    this.#desk.on(operation, handler);
  }

  gate(gate: JobGate): void {
    this.#desk.gate(gate);
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
      this.fault(new AgentError("storage/damaged", message, { cause }));
    }
  }

  filters(thingName: string): readonly string[] {
    return jobsFilters(thingName);
  }

  /** The execution that was begun and has not ended, as far as flash knows: from the start on, with a link or without. */
  get begun(): Journal | undefined {
    const { journal } = this.#record;
    return journal?.outcome ? undefined : journal;
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
    this.#desk.tell((handler, job) => handler.online?.(job));
  }

  lost(): void {
    if (!this.#record.isOnline) return;
    this.#wiring.host.timer.clear(this.#waiting);
    this.#requests.answered();
    this.#token = undefined;
    this.event({ type: "lost" });
    this.#desk.tell((handler, job) => handler.offline?.(job));
  }

  onStatus(status: AgentStatus): void {
    this.#desk.tell((handler, job) => handler.onStatus?.(job, status));
  }

  /** @returns false for a topic that is nothing of jobs */
  onMessage(topic: string, payload: Uint8Array): boolean {
    const { thingName = "" } = this.#wiring;
    if (topic.startsWith(streamsPrefix(thingName))) {
      this.#desk.tell((handler, job) => handler.onMessage?.(job, topic, payload));
      return true;
    }
    const suffix = this.suffixOf(topic);
    if (suffix === undefined) return false;
    try {
      this.read(suffix, payload);
    } catch (error) {
      if (!(error instanceof AgentError) || error.kind !== "protocol") throw error;
      this.unreadable(suffix, error);
    }
    return true;
  }

  onOversize(topic: string, error: AgentError): boolean {
    const suffix = this.suffixOf(topic);
    if (suffix !== undefined) this.unreadable(suffix, error);
    return suffix !== undefined;
  }

  private suffixOf(topic: string): string | undefined {
    const prefix = jobsPrefix(this.#wiring.thingName ?? "");
    return topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined;
  }

  // -- what the service says --

  private read(suffix: string, payload: Uint8Array): void {
    if (this.#record.state === "restarting") return;
    if (suffix === "notify-next") return this.event({ type: "hint", ...parseHint(payload) });
    if (!this.isAnswer(suffix)) return;
    if (suffix.endsWith("/rejected")) return this.onRejected(suffix, payload);
    if (suffix.endsWith("/update/accepted")) {
      const { clientToken, state } = parseUpdated(payload);
      if (this.answered(clientToken)) this.event({ type: "accepted", state });
      return;
    }
    const { clientToken, execution } = parseGot(payload);
    const { request } = this.#record;
    if (!this.answered(clientToken)) return;
    if (request === "next") {
      this.#desk.next(execution);
      this.event({ type: "next", execution });
    } else if (execution) this.event({ type: "own", execution });
    else this.event({ type: "gone" });
  }

  private onRejected(suffix: string, payload: Uint8Array): void {
    const { request } = this.#record;
    const kind = suffix.endsWith("/get/rejected") ? "get" : "update";
    const { clientToken, code, error, state } = parseRejected(payload, kind);
    if (!this.answered(clientToken)) return;
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
  private isAnswer(suffix: string): boolean {
    const { request } = this.#record;
    if (request === undefined || this.#token === undefined) return false;
    const isGet = request === "next" || request === "own";
    return (
      suffix.endsWith(isGet ? "/get/accepted" : "/update/accepted") ||
      suffix.endsWith(isGet ? "/get/rejected" : "/update/rejected")
    );
  }

  private answered(clientToken: string | undefined): boolean {
    if (clientToken === undefined || clientToken !== this.#token) return false;
    this.#token = undefined;
    this.#requests.answered();
    return true;
  }

  /** What cannot be read now cannot be read later. */
  private unreadable(suffix: string, error: AgentError): void {
    if (this.#record.state === "restarting") return;
    if (suffix === "notify-next") {
      this.fault(error);
      this.event({ type: "hint", jobId: undefined, executionNumber: undefined });
    } else if (this.isAnswer(suffix)) {
      this.#token = undefined;
      this.#requests.answered();
      this.event({ type: "unreadable", error });
    } else this.fault(error);
  }

  // -- the machine --

  event(event: JobEvent): void {
    const before = this.#record;
    const { record, effects } = step(before, event);
    this.#record = record;
    const { journal } = record;
    if (journal !== before.journal && !this.save(journal) && journal && !journal.outcome) {
      // A start that cannot be counted could be repeated for ever. Nothing of it is done, nor asked for.
      const isAsking = effects.some(({ type }) => type === "update" || type === "get");
      if (isAsking) this.#record = { ...record, request: undefined };
      const details = boundedDetails({}, "nothing can be saved: storage refuses");
      return this.event({ type: "finished", outcome: { status: "FAILED", details } });
    }
    for (const effect of effects) this.perform(effect);
  }

  private save(journal: Journal | undefined): boolean {
    try {
      writePair(this.#wiring.store, key, encodeJournal(journal));
      return true;
    } catch (cause) {
      this.fault(new AgentError("storage/write", "job: not saved", { cause }));
      return false;
    }
  }

  get record(): JobsRecord {
    return this.#record;
  }

  keep(state: Uint8Array): void {
    const journal = { ...this.#record.journal!, kept: state };
    try {
      writePair(this.#wiring.store, key, encodeJournal(journal));
    } catch (cause) {
      throw new AgentError("storage/write", "job: what is to be kept is not saved", { cause });
    }
    this.#record = step(this.#record, { type: "kept", state }).record;
  }

  /** Were it not saved, the attempts before would count as well. */
  progressed(): void {
    const { record } = step(this.#record, { type: "progressed" });
    if (this.save(record.journal)) this.#record = record;
  }

  /** In a turn of its own: signatures and flash need the stack that TLS, MQTT and this machine stand on. */
  private later(state: JobState, work: () => void): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#turn);
    const whenDue = () => {
      if (this.#record.state === state) work();
    };
    this.#turn = timer.set(() => this.#wiring.enter(whenDue), 0);
  }

  /** Likewise: a request may come of a message that has just been read, of a block that has just been written. */
  private asking(work: () => void): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#asking);
    const { request } = this.#record;
    const whenDue = () => {
      if (request !== undefined && this.#record.request === request) work();
    };
    this.#asking = timer.set(() => this.#wiring.enter(whenDue), 0);
  }

  private perform(effect: JobEffect): void {
    const desk = this.#desk;
    switch (effect.type) {
      case "get":
        return this.asking(() => this.get(effect.which, effect.hasDocument));
      case "update":
        return this.asking(() => this.update(effect));
      case "pace":
        return this.paced();
      case "judge":
        return this.later("judging", () => this.event(desk.judge(effect.execution, effect.fault)));
      case "known":
        this.timed(effect.execution.secondsLeft);
        return desk.know(effect);
      case "run":
        return this.later("running", () => desk.run());
      case "cancel":
        this.renewIn(0);
        return desk.cancel(effect.journal, effect.hasRun);
      case "reported":
        return desk.reported(effect.details);
      case "defer":
        return this.wait(effect.seconds * 1000);
      case "wait": {
        const chance = this.#wiring.host.crypto.random(1)[0]! / 256;
        return this.wait(backoff.baseMs + fullJitter(backoff, effect.attempt, chance));
      }
      case "ended":
        this.renewIn(0);
        return desk.ended(effect.outcome);
      case "fault":
        return this.fault(effect.error);
      case "restart":
        return desk.leave();
    }
  }

  /** The service's timer may be shorter than the one that was asked for. */
  private timed(secondsLeft: number | undefined): void {
    if (secondsLeft === undefined || this.#stepMinutes === 0) return;
    this.renewIn(Math.max(30_000, Math.min(this.#stepMinutes * 30_000, secondsLeft * 500)));
  }

  private get(which: "next" | "own", includeJobDocument: boolean): void {
    const { jobId, executionNumber } = this.#record.journal ?? {};
    const isOwn = which === "own";
    const payload = getRequest({
      clientToken: this.newToken(),
      executionNumber: isOwn ? executionNumber : undefined,
      includeJobDocument,
    });
    this.send(`${isOwn ? jobId : "$next"}/get`, payload);
  }

  private update({ status, details, version }: JobEffect & { readonly type: "update" }): void {
    const { jobId, executionNumber } = this.#record.journal!;
    const isRunning = status === "IN_PROGRESS";
    const payload = updateRequest({
      status,
      statusDetails: details,
      expectedVersion: version,
      executionNumber,
      stepTimeoutInMinutes: isRunning && this.#stepMinutes > 0 ? this.#stepMinutes : undefined,
      clientToken: this.newToken(),
    });
    if (isRunning) this.renewIn(this.#stepMinutes * 30_000);
    if (details && isRunning) {
      const told = Object.fromEntries(details);
      this.#wiring.emit({ type: "job", state: "progress", jobId, details: told });
    }
    this.send(`${jobId}/update`, payload);
  }

  private newToken(): string {
    this.#token = this.#wiring.newToken();
    return this.#token;
  }

  private send(suffix: string, payload: Uint8Array): void {
    // The product may have stopped the agent when it was told something.
    if (this.#record.request === undefined) return;
    const topic = jobsPrefix(this.#wiring.thingName!) + suffix;
    const onTimeout = () => {
      this.#token = undefined;
      if (this.#record.state === "restarting") return;
      // One answer is lost on any slow link: the third silence in a row is told.
      const isTold = this.#record.failures >= untoldSilences;
      const error = isTold && new AgentError("job/timeout", `jobs ${suffix}: no answer`);
      this.event({ type: "busy", error: error || undefined });
    };
    const onAcknowledged = () => this.#desk.acknowledged();
    this.#requests.send(this.#wiring.session, topic, payload, onTimeout, onAcknowledged);
  }

  private wait(delayMs: number): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#waiting);
    this.#waiting = timer.set(() => this.#wiring.enter(() => this.event({ type: "due" })), delayMs);
  }

  private paced(): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#pace);
    this.#pace = timer.set(
      () => this.#wiring.enter(() => this.event({ type: "paced" })),
      limits.jobReportMs,
    );
  }

  /** @param delayMs 0: never */
  private renewIn(delayMs: number): void {
    const { timer } = this.#wiring.host;
    timer.clear(this.#renewal);
    if (delayMs === 0) return;
    const renew = () => {
      if (this.#record.state === "running") this.event({ type: "renew" });
    };
    this.#renewal = timer.set(() => this.#wiring.enter(renew), delayMs);
  }

  private fault(error: AgentError): void {
    this.#wiring.emit({ type: "fault", error });
  }
}
