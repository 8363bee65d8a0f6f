// The AWS IoT Jobs service: what an owner may do with jobs, and the parts behind it.
// Devices come in by job-requests (MQTT) and job-rest (HTTPS), both by way of job-data.

import * as v from "valibot";
import type { Client } from "./broker-types.js";
import { Deadlines } from "./deadlines.js";
import type { Clock, Random, Timer } from "./environment.js";
import { checked, JobData } from "./job-data.js";
import { delivered, documentsOf, type JobObjects } from "./job-document.js";
import { type JobEvent, JobEvents } from "./job-events.js";
import { JobExecutions } from "./job-executions.js";
import { invalidJob, JobFault } from "./job-fault.js";
import { JobNotices } from "./job-notices.js";
import { JobRecords } from "./job-records.js";
import { isJobRequest, JobRequests } from "./job-requests.js";
import { type CancelOptions, JobRollout } from "./job-rollout.js";
import { scheduleOf } from "./job-rules.js";
import { thingsOf } from "./job-targets.js";
import {
  isTerminal,
  type Job,
  type JobCounts,
  type JobExecution,
  type JobRequest,
  jobRequestSchema,
  jobSchemas as recordSchemas,
  type StatusDetails,
  stateOf,
  statusDetailsSchema,
} from "./job-types.js";
import type { JsonObject } from "./json.js";
import { type JobLimits, jobLimits } from "./limits.js";
import { RequestRate } from "./request-rate.js";
import type { Store } from "./store.js";
import { ThingGroups, thingGroupSchemas } from "./thing-groups.js";

export type { JobEvent } from "./job-events.js";
export { JobFault } from "./job-fault.js";
export type { CancelOptions } from "./job-rollout.js";
export type { Job, JobExecution, JobRequest } from "./job-types.js";

export interface JobsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly limits?: Partial<JobLimits>;
  /** Absent: documents with presigned URLs, or from S3, are refused. */
  readonly objects?: JobObjects;
  /** Whether `$aws/events/job...` are published before UpdateEventConfigurations says so. */
  readonly eventsEnabled?: boolean;
  hasThing(thing: string): boolean;
  /** QoS 1, capped by the grant (conflict 31 of the sources). */
  publish(topic: string, payload: Uint8Array): void;
  onEvent(event: JobEvent): void;
}

export interface JobDescription extends Job {
  readonly counts: JobCounts;
}

export interface CancelExecutionOptions {
  readonly force?: boolean;
  readonly expectedVersion?: number;
  readonly statusDetails?: StatusDetails;
}

const eventConfigurationSchema = v.object({ enabled: v.boolean() });

/** Kinds of record that jobs keep in the store. */
export const jobSchemas = {
  ...recordSchemas,
  ...thingGroupSchemas,
  eventConfiguration: eventConfigurationSchema,
} as const;

export class Jobs {
  /** Targets of jobs. */
  readonly groups: ThingGroups;
  /** What devices ask, without a transport. */
  readonly data: JobData;
  readonly limits: JobLimits;
  /** Requests of devices, over MQTT and HTTPS together. */
  readonly rate: RequestRate;
  readonly #options: JobsOptions;
  readonly #objects: JobObjects;
  readonly #records: JobRecords;
  readonly #deadlines: Deadlines;
  readonly #executions: JobExecutions;
  readonly #rollout: JobRollout;
  readonly #notices: JobNotices;
  readonly #requests: JobRequests;
  readonly #events: JobEvents;
  readonly #eventConfigurations: Map<string, { readonly enabled: boolean }>;

  constructor(options: JobsOptions) {
    const { store, clock, timer, random, hasThing } = options;
    this.#options = options;
    this.#objects = options.objects ?? {};
    this.limits = { ...jobLimits, ...options.limits };
    this.#eventConfigurations = new Map(store.list("eventConfiguration", eventConfigurationSchema));
    const records = new JobRecords(store, this.limits);
    this.#records = records;
    const deadlines = new Deadlines(clock, timer, () => this.#notices.flush());
    this.#deadlines = deadlines;
    const publish = (topic: string, body: JsonObject): void =>
      options.publish(topic, Buffer.from(JSON.stringify(body)));
    const isEnabled = (kind: string): boolean => this.isEventEnabled(kind);
    this.#events = new JobEvents({ clock, random, isEnabled, publish });
    const executions = new JobExecutions({
      records,
      clock,
      deadlines,
      onChange: (execution, before) => this.#changed(execution, before),
    });
    this.#executions = executions;
    this.groups = new ThingGroups({
      store,
      clock,
      hasThing,
      onJoined: (group, thing) => this.#settled(() => this.#rollout.joined(group, thing)),
      onLeft: (group, thing) => this.#settled(() => this.#rollout.left(group, thing)),
    });
    this.#rollout = new JobRollout({
      records,
      executions,
      deadlines,
      clock,
      members: group => this.groups.group(group)?.things ?? [],
      onEnd: job => this.#ended(job),
    });
    const { limits } = this;
    this.data = new JobData({
      records,
      executions,
      clock,
      limits,
      hasThing,
      deliver: job => delivered(job, this.#objects),
    });
    this.#notices = new JobNotices({
      records,
      list: pending => this.data.list(pending),
      next: head => this.data.next(head),
      publish,
    });
    this.rate = new RequestRate(limits.requestsPerSecond);
    const now = (): number => clock.now();
    this.#requests = new JobRequests({ data: this.data, rate: this.rate, limits, now });
    executions.resume();
    for (const job of records.jobs()) this.#rollout.begin(job);
    this.#notices.flush();
  }

  static isRequest(topic: string): boolean {
    return isJobRequest(topic);
  }

  /** Answers a request that came over MQTT, straight to who asked; then whoever listens hears what changed. */
  handle(topic: string, payload: Uint8Array, client: Pick<Client, "reply">): void {
    this.#settled(() => this.#requests.handle(topic, payload, client));
  }

  /** Does what devices ask over HTTPS; what it changes is told over MQTT. */
  request<T>(ask: (data: JobData) => T): T {
    return this.#settled(() => ask(this.data));
  }

  /** CreateJob. @throws JobFault */
  create(request: JobRequest): Job {
    const config = checked(jobRequestSchema, request as unknown as JsonObject);
    const { jobId } = config;
    const now = this.#options.clock.now();
    if (this.#records.job(jobId) !== undefined) {
      const message = `Job ${jobId} already exists`;
      throw new JobFault("ResourceAlreadyExists", message, { resource: `job/${jobId}` });
    }
    const documents = documentsOf(config, this.#objects, this.limits);
    const schedule = scheduleOf(config.schedulingConfig, now);
    if (typeof schedule === "string") throw invalidJob(schedule);
    const things = thingsOf(config.targets, {
      hasThing: this.#options.hasThing,
      members: group => this.groups.group(group)?.things,
      thingsMax: this.limits.thingsPerJob,
    });
    if (!this.#records.makeRoom(now)) throw new JobFault("LimitExceeded", "Too many jobs");
    const { document, before: documentBefore } = documents;
    const status = schedule.startAt === undefined ? "IN_PROGRESS" : "SCHEDULED";
    const state = { status, createdAt: now, lastUpdatedAt: now, ended: false } as const;
    const job = { ...config, ...schedule, ...state, document, documentBefore, waiting: things };
    return this.#settled(() => {
      this.#records.putJob(job);
      this.#options.onEvent({ type: "jobCreated", jobId, status, things: things.length });
      this.#rollout.begin(job);
      return this.#known(jobId);
    });
  }

  /** CancelJob. @throws JobFault */
  cancel(jobId: string, options: CancelOptions = {}): Job {
    return this.#settled(() => this.#rollout.cancel(this.#known(jobId), options));
  }

  /** DeleteJob; one that is not over needs force. @throws JobFault */
  delete(jobId: string, { force = false }: { readonly force?: boolean } = {}): void {
    const job = this.#known(jobId);
    const isOver = job.status === "COMPLETED" || job.status === "CANCELED";
    // Assumed: what a device still does for a cancelled job needs force as well.
    if (!force && (!isOver || this.#records.isActive(jobId))) {
      throw new JobFault("InvalidStateTransition", `Job ${jobId} is ${job.status}: it needs force`);
    }
    this.#settled(() => {
      this.#events.job(job, this.#records.counts(jobId), "deletion_in_progress");
      this.#rollout.forget(jobId);
      for (const each of this.#records.executions(jobId)) {
        this.#executions.remove(each);
        this.#events.execution(each, true);
      }
      const counts = this.#records.counts(jobId);
      this.#records.removeJob(jobId);
      this.#events.job(job, counts, "deleted");
      const { reasonCode } = job;
      this.#options.onEvent({ type: "jobEnded", jobId, status: "DELETED", reasonCode });
    });
  }

  /** CancelJobExecution; one IN_PROGRESS needs force. @throws JobFault */
  cancelExecution(thing: string, jobId: string, options: CancelExecutionOptions = {}): void {
    const { force = false, expectedVersion } = options;
    const found = this.#knownExecution(thing, jobId);
    const isFree = found.status === "QUEUED" || (found.status === "IN_PROGRESS" && force);
    if (!isFree) {
      const message = `The execution is ${found.status}${isTerminal(found.status) ? " already" : ": it needs force"}`;
      throw new JobFault("InvalidStateTransition", message, { state: stateOf(found) });
    }
    if (expectedVersion !== undefined && expectedVersion !== found.version) {
      const message = `Expected version ${expectedVersion} but found version ${found.version}`;
      throw new JobFault("VersionMismatch", message, { state: stateOf(found) });
    }
    const { statusDetails } = options;
    if (statusDetails !== undefined)
      checked(v.object({ statusDetails: statusDetailsSchema }), { statusDetails });
    this.#settled(() =>
      this.#executions.change(found, {
        status: "CANCELED",
        ...(statusDetails === undefined ? {} : { statusDetails }),
        ...(force ? { forceCanceled: true } : {}),
      }),
    );
  }

  /** DeleteJobExecution; one that is not over needs force. @throws JobFault */
  deleteExecution(
    thing: string,
    jobId: string,
    number: number,
    { force = false }: { readonly force?: boolean } = {},
  ): void {
    const found = this.#knownExecution(thing, jobId, number);
    if (!isTerminal(found.status) && !force) {
      const message = `The execution is ${found.status}: it needs force`;
      throw new JobFault("InvalidStateTransition", message, { state: stateOf(found) });
    }
    this.#settled(() => {
      this.#executions.remove(found);
      this.#events.execution(found, true);
      this.#rollout.settle(jobId);
    });
  }

  /** Undefined when there is no such job. */
  describe(jobId: string): JobDescription | undefined {
    const job = this.#records.job(jobId);
    return job && { ...job, counts: this.#records.counts(jobId) };
  }

  /** Oldest first. */
  list(): readonly Job[] {
    return this.#records.jobs();
  }

  /** The latest one without a number; undefined when there is none. */
  execution(thing: string, jobId: string, number?: number): JobExecution | undefined {
    return this.#records.find(jobId, thing, number);
  }

  /** Of all things, each thing's first one first. */
  executions(jobId: string): readonly JobExecution[] {
    return this.#records.executions(jobId);
  }

  /** Of all jobs. */
  executionsOf(thing: string): readonly JobExecution[] {
    return this.#records.executionsOf(thing);
  }

  /** What waits for a thing, in the order it gets them. */
  pending(thing: string): readonly JobExecution[] {
    return this.#records.pending(thing);
  }

  isEventEnabled(kind: string): boolean {
    const { eventsEnabled = false } = this.#options;
    return this.#eventConfigurations.get(kind)?.enabled ?? eventsEnabled;
  }

  /** UpdateEventConfigurations, for JOB and JOB_EXECUTION. */
  enableEvents(kind: "JOB" | "JOB_EXECUTION", enabled: boolean): void {
    this.#eventConfigurations.set(kind, { enabled });
    this.#options.store.put("eventConfiguration", kind, { enabled });
  }

  /** Nothing times out or rolls out after this. */
  close(): void {
    this.#deadlines.close();
  }

  #settled<T>(work: () => T): T {
    try {
      return work();
    } finally {
      this.#notices.flush();
    }
  }

  #changed(execution: JobExecution, before: JobExecution | undefined): void {
    const { jobId, thing, number, status, statusDetails = {}, version } = execution;
    this.#options.onEvent({
      type: "jobExecutionChanged",
      jobId,
      thing,
      executionNumber: number,
      status,
      previous: before?.status,
      statusDetails,
      versionNumber: version,
    });
    if (!isTerminal(status)) return;
    this.#events.execution(execution);
    this.#rollout.finished(execution);
  }

  #ended(job: Job): void {
    const { jobId, reasonCode } = job;
    const counts = this.#records.counts(jobId);
    const status = job.status === "CANCELED" ? "CANCELED" : "COMPLETED";
    // Nothing takes its time here: the two follow each other.
    if (status === "CANCELED") this.#events.job(job, counts, "cancellation_in_progress");
    this.#events.job(job, counts, status === "CANCELED" ? "canceled" : "completed");
    this.#options.onEvent({ type: "jobEnded", jobId, status, reasonCode });
  }

  #known(jobId: string): Job {
    const job = this.#records.job(jobId);
    if (job !== undefined) return job;
    throw new JobFault("ResourceNotFound", `Job ${jobId} does not exist`);
  }

  #knownExecution(thing: string, jobId: string, number?: number): JobExecution {
    const found = this.#records.find(jobId, thing, number);
    if (found !== undefined) return found;
    throw new JobFault("ResourceNotFound", `There is no execution of ${jobId} on ${thing}`);
  }
}
