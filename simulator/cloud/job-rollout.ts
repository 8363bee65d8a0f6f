// Whose turn it is: a job's start, its rate, its end, things that come and go, and when it is over (reference 4.6).

import type { Deadlines } from "./deadlines.js";
import type { Clock } from "./environment.js";
import type { JobExecutions } from "./job-executions.js";
import { invalidJob } from "./job-fault.js";
import type { JobRecords } from "./job-records.js";
import { endOf, isAborted, minuteOf, retryOf } from "./job-rules.js";
import { isTerminal, type Job, type JobExecution } from "./job-types.js";
import { arnPrefix } from "./policy.js";

export interface CancelOptions {
  /** Those IN_PROGRESS too. */
  readonly force?: boolean;
  readonly reasonCode?: string;
  readonly comment?: string;
}

export interface JobRolloutOptions {
  readonly records: JobRecords;
  readonly executions: JobExecutions;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  /** Members of a thing group now. */
  members(group: string): readonly string[];
  /** COMPLETED or CANCELED. */
  onEnd(job: Job): void;
}

export class JobRollout {
  readonly #options: JobRolloutOptions;

  constructor(options: JobRolloutOptions) {
    this.#options = options;
  }

  /** A new job, and those of a cloud that was started again. */
  begin({ jobId, startAt, endAt, status }: Job): void {
    const { deadlines } = this.#options;
    if (status === "SCHEDULED" && startAt !== undefined) {
      deadlines.set(`start ${jobId}`, startAt, () => this.#start(jobId));
    }
    if (endAt !== undefined && (status === "SCHEDULED" || status === "IN_PROGRESS")) {
      deadlines.set(`end ${jobId}`, endAt, () => this.#end(jobId));
    }
    this.#roll(jobId);
    this.#complete(jobId);
  }

  /** What a job that is gone waited for. */
  forget(jobId: string): void {
    for (const what of ["start", "end", "roll"]) this.#options.deadlines.delete(`${what} ${jobId}`);
  }

  /** QUEUED ones at once; things whose turn has not come get nothing. @throws JobFault */
  cancel(job: Job, { force = false, reasonCode, comment }: CancelOptions): Job {
    const { records, executions, clock, onEnd } = this.#options;
    // Assumed: what is COMPLETED cannot be cancelled, and what is CANCELED only with force, once.
    const mayForce = force && job.status === "CANCELED" && records.isActive(job.jobId);
    if (isOver(job) && !mayForce) throw invalidJob(`Job ${job.jobId} is ${job.status} already`);
    const now = clock.now();
    const canceled = records.putJob({
      ...job,
      status: "CANCELED",
      waiting: [],
      lastUpdatedAt: now,
      completedAt: now,
      ...(force ? { forceCanceled: true } : {}),
      ...(reasonCode === undefined ? {} : { reasonCode }),
      ...(comment === undefined ? {} : { comment }),
    });
    this.forget(job.jobId);
    for (const each of records.executions(job.jobId)) {
      if (each.status === "QUEUED") executions.change(each, { status: "CANCELED" });
      else if (each.status === "IN_PROGRESS" && force) {
        executions.change(each, { status: "CANCELED", forceCanceled: true });
      }
    }
    if (!mayForce) onEnd(canceled);
    return canceled;
  }

  /** Something of it is gone: it may be over now. */
  settle(jobId: string): void {
    this.#complete(jobId);
  }

  /** Tried again, given up, or done. */
  finished(execution: JobExecution): void {
    const { records, executions } = this.#options;
    const job = records.job(execution.jobId);
    if (job?.status !== "IN_PROGRESS") return;
    // Assumed: after its end time a job does not try again.
    const retries = job.ended ? undefined : retryOf(job, execution);
    if (retries !== undefined) return executions.queue(job, execution.thing, retries);
    if (!isAborted(job, records.counts(job.jobId))) return this.#complete(job.jobId);
    // Assumed: neither code nor text is in the guide.
    this.cancel(job, { reasonCode: "ABORTED", comment: "The abort criteria were met" });
  }

  /** A thing came into a group: continuous jobs reach it, again if it had left. */
  joined(group: string, thing: string): void {
    for (const job of this.#continuous(group)) {
      const latest = this.#options.records.find(job.jobId, thing);
      if (job.waiting.includes(thing)) continue;
      if (latest !== undefined && !isTerminal(latest.status)) continue;
      this.#options.records.putJob({ ...job, waiting: [...job.waiting, thing] });
      this.#roll(job.jobId);
    }
  }

  /** A thing left a group, and no other target holds it. */
  left(group: string, thing: string): void {
    const { records, executions } = this.#options;
    for (const job of this.#continuous(group)) {
      if (this.#isTarget(job, thing)) continue;
      const waiting = job.waiting.filter(each => each !== thing);
      records.putJob({ ...job, waiting });
      const latest = records.find(job.jobId, thing);
      if (latest === undefined || isTerminal(latest.status)) continue;
      executions.change(latest, { status: "REMOVED" });
    }
  }

  #continuous(group: string): Job[] {
    const arn = `${arnPrefix}thinggroup/${group}`;
    return this.#options.records
      .jobs()
      .filter(job => job.targetSelection === "CONTINUOUS" && !isOver(job) && !job.ended)
      .filter(({ targets }) => targets.includes(arn));
  }

  #isTarget({ targets }: Job, thing: string): boolean {
    return targets.some(target => {
      const [kind, name = ""] = target.slice(arnPrefix.length).split("/");
      return kind === "thing" ? name === thing : this.#options.members(name).includes(thing);
    });
  }

  #start(jobId: string): void {
    const { records, clock } = this.#options;
    const job = records.job(jobId);
    if (job?.status !== "SCHEDULED") return;
    records.putJob({ ...job, status: "IN_PROGRESS", lastUpdatedAt: clock.now() });
    this.#roll(jobId);
    this.#complete(jobId);
  }

  /** As many as this minute may still have; the others in those that follow. */
  #roll(jobId: string): void {
    const { records, executions, deadlines, clock } = this.#options;
    const job = records.job(jobId);
    if (job?.status !== "IN_PROGRESS" || job.ended || job.waiting.length === 0) return;
    const minute = minuteOf(job, records.counts(jobId), clock.now());
    const room = minute === undefined ? job.waiting.length : Math.floor(minute.rate) - minute.used;
    const batch = job.waiting.slice(0, Math.max(0, room));
    const waiting = job.waiting.slice(batch.length);
    const rolled = { ...job, waiting };
    if (minute === undefined) records.putJob(rolled);
    else records.putJob({ ...rolled, minute: { ...minute, used: minute.used + batch.length } });
    if (minute !== undefined && waiting.length > 0) {
      deadlines.set(`roll ${jobId}`, endOf(minute), () => this.#roll(jobId));
    }
    for (const thing of batch) executions.queue(job, thing);
  }

  /**
   * Assumed for CANCEL and FORCE_CANCEL: the job is CANCELED then. With STOP_ROLLOUT, the default, it is COMPLETED
   * when what runs is over.
   */
  #end(jobId: string): void {
    const { records } = this.#options;
    const job = records.job(jobId);
    if (job === undefined || isOver(job)) return;
    const behavior = job.schedulingConfig?.endBehavior ?? "STOP_ROLLOUT";
    if (behavior !== "STOP_ROLLOUT") {
      this.cancel(job, { force: behavior === "FORCE_CANCEL" });
      return;
    }
    records.putJob({ ...job, ended: true, waiting: [] });
    this.#complete(jobId);
  }

  /** A snapshot is over with its last thing, a continuous job only after its end. */
  #complete(jobId: string): void {
    const { records, clock, onEnd } = this.#options;
    const job = records.job(jobId);
    if (job?.status !== "IN_PROGRESS" || job.waiting.length > 0 || records.isActive(jobId)) return;
    if (job.targetSelection === "CONTINUOUS" && !job.ended) return;
    const now = clock.now();
    this.forget(jobId);
    onEnd(records.putJob({ ...job, status: "COMPLETED", lastUpdatedAt: now, completedAt: now }));
  }
}

function isOver({ status }: Job): boolean {
  return status !== "SCHEDULED" && status !== "IN_PROGRESS";
}
