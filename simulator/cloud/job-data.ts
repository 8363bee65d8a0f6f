// The data plane of jobs, whatever carries it: what a device may ask, and what it is answered (reference 4.2 to 4.5).

import * as v from "valibot";
import type { Clock } from "./environment.js";
import { type JobExecutions, timeoutOf } from "./job-executions.js";
import { invalidJob, JobFault } from "./job-fault.js";
import type { JobRecords } from "./job-records.js";
import {
  executionStatuses,
  isTerminal,
  type Job,
  type JobExecution,
  stateOf,
  statusDetailsSchema,
  stepTimeoutSchema,
} from "./job-types.js";
import { type Json, type JsonObject, newObject } from "./json.js";
import type { JobLimits } from "./limits.js";

/** A document is an object over MQTT and a text over HTTPS. */
export type DocumentForm = "object" | "text";

export interface JobDataOptions {
  readonly records: JobRecords;
  readonly executions: JobExecutions;
  readonly clock: Clock;
  readonly limits: JobLimits;
  hasThing(thing: string): boolean;
  /** The document as a device gets it now. */
  deliver(job: Job): string;
}

const number = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Conflict 15 of the sources: a number, or a text that says one. */
const version = v.union([number, v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]);
const startRequest = v.object({
  statusDetails: v.exactOptional(statusDetailsSchema),
  stepTimeoutInMinutes: v.exactOptional(stepTimeoutSchema),
});
const describeRequest = v.object({
  executionNumber: v.exactOptional(number),
  includeJobDocument: v.exactOptional(v.boolean(), true),
});
const updateRequest = v.object({
  status: v.picklist(executionStatuses),
  statusDetails: v.exactOptional(statusDetailsSchema),
  expectedVersion: v.exactOptional(version),
  executionNumber: v.exactOptional(number),
  includeJobExecutionState: v.exactOptional(v.boolean(), false),
  includeJobDocument: v.exactOptional(v.boolean(), false),
  stepTimeoutInMinutes: v.exactOptional(stepTimeoutSchema),
});
/** What a device may say; the other statuses are the service's (assumed to be an invalid request). */
const settable: readonly string[] = ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"];

export class JobData {
  readonly #options: JobDataOptions;

  constructor(options: JobDataOptions) {
    this.#options = options;
  }

  /** GetPendingJobExecutions. */
  pending(thing: string): JsonObject {
    this.#checkThing(thing);
    const { records, limits } = this.#options;
    const listed = records.pending(thing).slice(0, limits.listed);
    const summaries = (status: string): JsonObject[] =>
      listed.filter(each => each.status === status).map(summaryOf);
    return { inProgressJobs: summaries("IN_PROGRESS"), queuedJobs: summaries("QUEUED") };
  }

  /** StartNextPendingJobExecution; no `execution` when nothing waits. */
  startNext(thing: string, body: JsonObject, form: DocumentForm): JsonObject {
    const change = checked(startRequest, body);
    this.#checkThing(thing);
    const { records, executions } = this.#options;
    const [head] = records.pending(thing);
    if (head === undefined) return {};
    const document = this.#document(head, form);
    // What is IN_PROGRESS is returned as it is; assumed for its step timer too.
    const execution =
      head.status === "IN_PROGRESS"
        ? head
        : executions.change(head, { status: "IN_PROGRESS", ...change });
    return { execution: this.#execution(execution, document) };
  }

  /** DescribeJobExecution; `$next` is the head of the list. */
  describe(thing: string, jobId: string, body: JsonObject, form: DocumentForm): JsonObject {
    const { executionNumber, includeJobDocument } = checked(describeRequest, body);
    this.#checkThing(thing);
    const { records } = this.#options;
    const [head] = records.pending(thing);
    if (jobId === "$next" && head === undefined) return {};
    // Assumed: with `$next` a number does not count.
    const found = jobId === "$next" ? head : records.find(jobId, thing, executionNumber);
    if (found === undefined) throw noExecution(jobId, thing);
    if (isTerminal(found.status)) {
      throw new JobFault("TerminalStateReached", `The execution is ${found.status} already`);
    }
    const document = includeJobDocument ? this.#document(found, form) : undefined;
    return { execution: this.#execution(found, document) };
  }

  /** UpdateJobExecution. */
  update(thing: string, jobId: string, body: JsonObject, form: DocumentForm): JsonObject {
    const request = checked(updateRequest, body);
    const { status, expectedVersion, executionNumber, statusDetails } = request;
    if (!settable.includes(status)) throw invalidJob(`A device cannot set ${status}`);
    this.#checkThing(thing);
    const found = this.#options.records.find(jobId, thing, executionNumber);
    if (found === undefined) throw noExecution(jobId, thing);
    // First, so that a device whose job was cancelled meanwhile hears that and not of a version (4.4).
    if (isTerminal(found.status)) {
      const message = `${found.status} cannot become ${status}`;
      throw new JobFault("InvalidStateTransition", message, { state: stateOf(found) });
    }
    if (expectedVersion !== undefined && expectedVersion !== found.version) {
      const message = `Expected version ${expectedVersion} but found version ${found.version}`;
      throw new JobFault("VersionMismatch", message, { state: stateOf(found) });
    }
    const jobDocument = request.includeJobDocument ? this.#document(found, form) : undefined;
    const { stepTimeoutInMinutes } = request;
    // REJECTED after IN_PROGRESS is taken (conflict 16 of the sources).
    const updated = this.#options.executions.change(found, {
      status,
      ...(statusDetails === undefined ? {} : { statusDetails }),
      ...(stepTimeoutInMinutes === undefined ? {} : { stepTimeoutInMinutes }),
    });
    const answer: JsonObject = {};
    if (request.includeJobExecutionState) answer.executionState = stateOf(updated);
    if (jobDocument !== undefined) answer.jobDocument = jobDocument;
    return answer;
  }

  /** Body of `notify`. */
  list(pending: readonly JobExecution[]): JsonObject {
    const { limits } = this.#options;
    const jobs = newObject();
    for (const each of pending.slice(0, limits.notified)) {
      const list = jobs[each.status];
      if (Array.isArray(list)) list.push(summaryOf(each));
      else jobs[each.status] = [summaryOf(each)];
    }
    return { timestamp: this.seconds(), jobs };
  }

  /** Body of `notify-next`. Assumed: without its document when no URL can be made for it. */
  next(head: JobExecution | undefined): JsonObject {
    const timestamp = this.seconds();
    if (head === undefined) return { timestamp };
    let document: Json | undefined;
    try {
      document = this.#document(head, "object");
    } catch {
      document = undefined;
    }
    const { thingName, ...execution } = this.#execution(head, document);
    return { timestamp, execution };
  }

  seconds(): number {
    return secondsOf(this.#options.clock.now());
  }

  #execution(execution: JobExecution, jobDocument: Json | undefined): JsonObject {
    const { thing, status, statusDetails } = execution;
    const left = secondsLeft(execution, this.#options.clock.now());
    return {
      ...summaryOf(execution),
      thingName: thing,
      status,
      ...(statusDetails === undefined ? {} : { statusDetails }),
      ...(left === undefined ? {} : { approximateSecondsBeforeTimedOut: left }),
      ...(jobDocument === undefined ? {} : { jobDocument }),
    };
  }

  #document({ jobId, thing }: JobExecution, form: DocumentForm): Json {
    const { records, deliver } = this.#options;
    const job = records.job(jobId);
    if (job === undefined) throw noExecution(jobId, thing);
    const text = deliver(job);
    return form === "text" ? text : (JSON.parse(text) as Json);
  }

  /** Assumed: GetPendingJobExecutions knows a 404 too, and it can only mean the thing. */
  #checkThing(thing: string): void {
    if (this.#options.hasThing(thing)) return;
    throw new JobFault("ResourceNotFound", `Thing ${thing} does not exist`);
  }
}

/** While a timer runs. */
export function secondsLeft(execution: JobExecution, now: number): number | undefined {
  const at = execution.status === "IN_PROGRESS" ? timeoutOf(execution) : undefined;
  return at === undefined ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}

function summaryOf(execution: JobExecution): JsonObject {
  const { jobId, queuedAt, startedAt, lastUpdatedAt, version, number } = execution;
  return {
    jobId,
    queuedAt: secondsOf(queuedAt),
    ...(startedAt === undefined ? {} : { startedAt: secondsOf(startedAt) }),
    lastUpdatedAt: secondsOf(lastUpdatedAt),
    versionNumber: version,
    executionNumber: number,
  };
}

const secondsOf = (ms: number): number => Math.floor(ms / 1000);

function noExecution(jobId: string, thing: string): JobFault {
  return new JobFault("ResourceNotFound", `There is no execution of ${jobId} on ${thing}`);
}

/** Members nobody knows are ignored; assumed: null is as good as absent. @throws JobFault */
export function checked<S extends v.GenericSchema>(schema: S, body: JsonObject): v.InferOutput<S> {
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  const result = v.safeParse(schema, given);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw invalidJob(`${v.getDotPath(issue) ?? "request"}: ${issue.message}`);
}
