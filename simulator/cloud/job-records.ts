// What is kept of jobs and their executions, and the lists that follow from it.

import {
  type ExecutionStatus,
  executionStatuses,
  isTerminal,
  type Job,
  type JobCounts,
  type JobExecution,
  jobSchemas,
} from "./job-types.js";
import type { JobLimits } from "./limits.js";
import type { Store } from "./store.js";

type Counts = Record<ExecutionStatus, number>;

function noCounts(): Counts {
  return Object.fromEntries(executionStatuses.map(status => [status, 0])) as Counts;
}

/** All IN_PROGRESS before all QUEUED, each in the order they were queued (reference 4.3; assumed for the former). */
function byTurn(one: JobExecution, other: JobExecution): number {
  if (one.status !== other.status) return one.status === "IN_PROGRESS" ? -1 : 1;
  return one.order - other.order;
}

const keyOf = ({ thing, jobId, number }: JobExecution): string => `${thing}/${jobId}/${number}`;

export class JobRecords {
  readonly #store: Store;
  readonly #limits: JobLimits;
  readonly #jobs: Map<string, Job>;
  /** By job and thing, lowest number first. */
  readonly #executions = new Map<string, Map<string, JobExecution[]>>();
  /** By thing and job, what is not finished. */
  readonly #pending = new Map<string, Map<string, JobExecution>>();
  readonly #jobsOfThing = new Map<string, Set<string>>();
  readonly #counts = new Map<string, Counts>();
  #order = 0;
  /** Called before the list of a thing may change. */
  beforeChange: (thing: string) => void = () => undefined;

  constructor(store: Store, limits: JobLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#jobs = new Map(store.list("job", jobSchemas.job));
    const executions = store.list("jobExecution", jobSchemas.jobExecution);
    for (const [, each] of executions.sort(([, a], [, b]) => a.number - b.number)) {
      this.#index(each);
      this.#order = Math.max(this.#order, each.order);
    }
  }

  nextOrder(): number {
    return ++this.#order;
  }

  job(jobId: string): Job | undefined {
    return this.#jobs.get(jobId);
  }

  jobs(): readonly Job[] {
    return [...this.#jobs.values()];
  }

  putJob(job: Job): Job {
    this.#jobs.set(job.jobId, job);
    this.#store.put("job", job.jobId, job);
    return job;
  }

  removeJob(jobId: string): void {
    for (const execution of this.executions(jobId)) this.remove(execution);
    this.#jobs.delete(jobId);
    this.#counts.delete(jobId);
    this.#store.remove("job", jobId);
  }

  /** Forgets what is too old, and the job finished longest ago for lack of room. @returns false when there is none */
  makeRoom(now: number): boolean {
    const finished = this.jobs()
      .filter(({ completedAt }) => completedAt !== undefined)
      .filter(({ jobId }) => this.#active(jobId) === 0)
      .sort((a, b) => (a.completedAt ?? 0) - (b.completedAt ?? 0));
    for (const { jobId, completedAt = 0 } of finished) {
      const isOld = now - completedAt >= this.#limits.retentionMs;
      if (!isOld && this.#jobs.size < this.#limits.jobs) break;
      this.removeJob(jobId);
    }
    return this.#jobs.size < this.#limits.jobs;
  }

  counts(jobId: string): JobCounts {
    return this.#counts.get(jobId) ?? noCounts();
  }

  /** How many things have not finished it. */
  #active(jobId: string): number {
    const { QUEUED, IN_PROGRESS } = this.counts(jobId);
    return QUEUED + IN_PROGRESS;
  }

  isActive(jobId: string): boolean {
    return this.#active(jobId) > 0;
  }

  /** Of all things, lowest number first for each. */
  executions(jobId: string): readonly JobExecution[] {
    return [...(this.#executions.get(jobId)?.values() ?? [])].flat();
  }

  /** Of all jobs. */
  executionsOf(thing: string): readonly JobExecution[] {
    const jobs = [...(this.#jobsOfThing.get(thing) ?? [])];
    return jobs.flatMap(jobId => this.#executions.get(jobId)?.get(thing) ?? []);
  }

  /** The latest one without a number. */
  find(jobId: string, thing: string, number?: number): JobExecution | undefined {
    const list = this.#executions.get(jobId)?.get(thing);
    if (number === undefined) return list?.at(-1);
    return list?.find(each => each.number === number);
  }

  /** In the order a thing gets them. */
  pending(thing: string): readonly JobExecution[] {
    return [...(this.#pending.get(thing)?.values() ?? [])].sort(byTurn);
  }

  pendingCount(thing: string): number {
    return this.#pending.get(thing)?.size ?? 0;
  }

  put(execution: JobExecution): JobExecution {
    this.beforeChange(execution.thing);
    this.#index(execution);
    this.#store.put("jobExecution", keyOf(execution), execution);
    const list = this.#executions.get(execution.jobId)?.get(execution.thing) ?? [];
    const [oldest] = list;
    const isTooMany = list.length > this.#limits.executionsKept;
    if (isTooMany && oldest !== undefined && isTerminal(oldest.status)) this.remove(oldest);
    return execution;
  }

  remove(execution: JobExecution): void {
    const { jobId, thing, number } = execution;
    this.beforeChange(thing);
    const things = this.#executions.get(jobId);
    const list = things?.get(thing) ?? [];
    const left = list.filter(each => each.number !== number);
    this.#count(jobId, list.at(-1), left.at(-1));
    if (left.length > 0) things?.set(thing, left);
    else {
      things?.delete(thing);
      this.#jobsOfThing.get(thing)?.delete(jobId);
    }
    if (this.#pending.get(thing)?.get(jobId)?.number === number) this.#settle(execution);
    this.#store.remove("jobExecution", keyOf(execution));
  }

  #index(execution: JobExecution): void {
    const { jobId, thing, number } = execution;
    const things = entry(this.#executions, jobId, () => new Map<string, JobExecution[]>());
    const list = things.get(thing) ?? [];
    const next = [...list.filter(each => each.number !== number), execution];
    next.sort((a, b) => a.number - b.number);
    things.set(thing, next);
    entry(this.#jobsOfThing, thing, () => new Set<string>()).add(jobId);
    this.#count(jobId, list.at(-1), next.at(-1));
    if (isTerminal(execution.status)) this.#settle(execution);
    else entry(this.#pending, thing, () => new Map<string, JobExecution>()).set(jobId, execution);
  }

  #settle({ jobId, thing, number }: JobExecution): void {
    const pending = this.#pending.get(thing);
    if (pending?.get(jobId)?.number !== number) return;
    pending.delete(jobId);
    if (pending.size === 0) this.#pending.delete(thing);
  }

  #count(jobId: string, before: JobExecution | undefined, after: JobExecution | undefined): void {
    const counts = entry(this.#counts, jobId, noCounts);
    if (before !== undefined) counts[before.status]--;
    if (after !== undefined) counts[after.status]++;
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
