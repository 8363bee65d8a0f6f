// `$aws/events/job/...` and `$aws/events/jobExecution/...` for back ends (reference 4.6; "events-jobs"). Off until asked for.

import type { Clock, Random } from "./environment.js";
import {
  type ExecutionStatus,
  isTerminal,
  type Job,
  type JobCounts,
  type JobExecution,
  type JobStatus,
  type StatusDetails,
} from "./job-types.js";
import type { JsonObject } from "./json.js";
import { arnPrefix } from "./policy.js";

/** For who runs the cloud. */
export type JobEvent =
  | {
      readonly type: "jobCreated";
      readonly jobId: string;
      readonly status: JobStatus;
      /** How many it reaches now, or will. */
      readonly things: number;
    }
  | {
      readonly type: "jobEnded";
      readonly jobId: string;
      readonly status: "COMPLETED" | "CANCELED" | "DELETED";
      readonly reasonCode: string | undefined;
    }
  | {
      readonly type: "jobExecutionChanged";
      readonly jobId: string;
      readonly thing: string;
      readonly executionNumber: number;
      readonly status: ExecutionStatus;
      /** Undefined for a new one. */
      readonly previous: ExecutionStatus | undefined;
      readonly statusDetails: StatusDetails;
      readonly versionNumber: number;
    };

export type JobOperation =
  | "completed"
  | "canceled"
  | "deleted"
  | "cancellation_in_progress"
  | "deletion_in_progress";

export interface JobEventsOptions {
  readonly clock: Clock;
  readonly random: Random;
  isEnabled(kind: "JOB" | "JOB_EXECUTION"): boolean;
  publish(topic: string, body: JsonObject): void;
}

export class JobEvents {
  readonly #options: JobEventsOptions;

  constructor(options: JobEventsOptions) {
    this.#options = options;
  }

  job(job: Job, counts: JobCounts, operation: JobOperation): void {
    if (!this.#options.isEnabled("JOB")) return;
    const { jobId, targetSelection, targets, description, comment, completedAt } = job;
    const isDeletion = operation === "deleted" || operation === "deletion_in_progress";
    this.#options.publish(`$aws/events/job/${jobId}/${operation}`, {
      eventType: "JOB",
      ...this.#envelope(operation),
      jobId,
      // Assumed: what is being deleted says so also in its last event.
      status: isDeletion ? "DELETION_IN_PROGRESS" : job.status,
      targetSelection,
      targets,
      ...(description === undefined ? {} : { description }),
      ...(comment === undefined ? {} : { comment }),
      createdAt: job.createdAt,
      lastUpdatedAt: job.lastUpdatedAt,
      ...(completedAt === undefined ? {} : { completedAt }),
      jobProcessDetails: countsOf(counts),
    });
  }

  /** What is not finished has no event. */
  execution({ jobId, thing, status, statusDetails }: JobExecution, isDeleted = false): void {
    if (!isDeleted && !isTerminal(status)) return;
    if (!this.#options.isEnabled("JOB_EXECUTION")) return;
    const operation = isDeleted ? "deleted" : status.toLowerCase();
    this.#options.publish(`$aws/events/jobExecution/${jobId}/${operation}`, {
      eventType: "JOB_EXECUTION",
      ...this.#envelope(operation),
      jobId,
      thingArn: `${arnPrefix}thing/${thing}`,
      status,
      ...(statusDetails === undefined ? {} : { statusDetails }),
    });
  }

  #envelope(operation: string): JsonObject {
    const { clock, random } = this.#options;
    return {
      eventId: uuidOf(random(16)),
      timestamp: Math.floor(clock.now() / 1000),
      operation,
    };
  }
}

/** `jobProcessDetails` without what a rollout adds. */
export function countsOf(counts: JobCounts): JsonObject {
  return {
    numberOfCanceledThings: counts.CANCELED,
    numberOfSucceededThings: counts.SUCCEEDED,
    numberOfFailedThings: counts.FAILED,
    numberOfRejectedThings: counts.REJECTED,
    numberOfQueuedThings: counts.QUEUED,
    numberOfInProgressThings: counts.IN_PROGRESS,
    numberOfRemovedThings: counts.REMOVED,
    numberOfTimedOutThings: counts.TIMED_OUT,
  };
}

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}
