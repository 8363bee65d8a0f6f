// Jobs and their executions: what CreateJob takes, and what is kept (reference 4.4, 4.6, 12.4; botocore model "iot").

import * as v from "valibot";
import { isObject, type Json } from "./json.js";
import { jobLimits } from "./limits.js";

export const executionStatuses = [
  "QUEUED",
  "IN_PROGRESS",
  "SUCCEEDED",
  "FAILED",
  "TIMED_OUT",
  "REJECTED",
  "REMOVED",
  "CANCELED",
] as const;
export type ExecutionStatus = (typeof executionStatuses)[number];

export const jobStatuses = [
  "SCHEDULED",
  "IN_PROGRESS",
  "COMPLETED",
  "CANCELED",
  "DELETION_IN_PROGRESS",
] as const;
export type JobStatus = (typeof jobStatuses)[number];

export function isTerminal(status: ExecutionStatus): boolean {
  return status !== "QUEUED" && status !== "IN_PROGRESS";
}

const integer = (min: number, max: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const noControls = /^\P{C}*$/u;
/** Tenths and hundredths, as doubles say them. */
const decimals = (places: number) =>
  v.check<number, string>(
    value => Number(value.toFixed(places)) === value,
    `Expected at most ${places} digit(s) after the point`,
  );
const prose = v.pipe(v.string(), v.maxLength(2028), v.regex(noControls));

/** A map of texts, `__proto__` a name like any other. */
function texts(name: RegExp, value: RegExp, characters: number, pairs: number) {
  return v.custom<Readonly<Record<string, string>>>(
    map =>
      isObject(map as Json) &&
      Object.keys(map as object).length <= pairs &&
      Object.entries(map as object).every(
        ([key, text]) =>
          name.test(key) &&
          typeof text === "string" &&
          text.length > 0 &&
          text.length <= characters &&
          value.test(text),
      ),
    `Expected at most ${pairs} pairs, names of ${name.source}, values of 1 to ${characters} characters without controls`,
  );
}

/** Names `[a-zA-Z0-9:_-]`, texts only (quotas, device management). */
export const statusDetailsSchema = texts(
  new RegExp(`^[a-zA-Z0-9:_-]{1,${jobLimits.detailNameCharacters}}$`),
  noControls,
  jobLimits.detailCharacters,
  jobLimits.details,
);
export type StatusDetails = v.InferOutput<typeof statusDetailsSchema>;

/** Assumed: at most 100 parameters. */
const parametersSchema = texts(/^[a-zA-Z0-9_-]{1,128}$/, noControls, 30_720, 100);

/** -1 takes the timer away. */
export const stepTimeoutSchema = v.union([v.literal(-1), integer(1, 10_080)]);

const presignedUrlConfig = v.object({
  /** Taken, and asked nothing: nobody here assumes roles. */
  roleArn: v.exactOptional(v.pipe(v.string(), v.minLength(20), v.maxLength(2048))),
  expiresInSec: v.exactOptional(integer(60, 3600)),
});
const rateIncreaseCriteria = v.pipe(
  v.object({
    numberOfNotifiedThings: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    numberOfSucceededThings: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  }),
  v.check(
    each =>
      (each.numberOfNotifiedThings === undefined) !== (each.numberOfSucceededThings === undefined),
    "Expected one of numberOfNotifiedThings and numberOfSucceededThings",
  ),
);
const rolloutConfig = v.object({
  maximumPerMinute: v.exactOptional(integer(1, 1000)),
  exponentialRate: v.exactOptional(
    v.object({
      baseRatePerMinute: integer(1, 1000),
      incrementFactor: v.pipe(v.number(), v.minValue(1.1), v.maxValue(5), decimals(1)),
      rateIncreaseCriteria,
    }),
  ),
});
const abortConfig = v.object({
  criteriaList: v.pipe(
    v.array(
      v.object({
        failureType: v.picklist(["FAILED", "REJECTED", "TIMED_OUT", "ALL"]),
        action: v.literal("CANCEL"),
        thresholdPercentage: v.pipe(v.number(), v.minValue(0), v.maxValue(100), decimals(2)),
        minNumberOfExecutedThings: v.pipe(v.number(), v.integer(), v.minValue(1)),
      }),
    ),
    v.minLength(1),
    v.maxLength(10), // assumed
  ),
});
const retryConfig = v.object({
  criteriaList: v.pipe(
    v.array(
      v.object({
        failureType: v.picklist(["FAILED", "TIMED_OUT", "ALL"]),
        numberOfRetries: integer(0, 10),
      }),
    ),
    v.minLength(1),
    v.maxLength(2),
    v.check(
      list => list.reduce((sum, { numberOfRetries }) => sum + numberOfRetries, 0) <= 10,
      "Expected at most 10 retries in all",
    ),
  ),
});
const time = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d \d\d:\d\d$/));
const schedulingConfig = v.object({
  startTime: v.exactOptional(time),
  endTime: v.exactOptional(time),
  endBehavior: v.exactOptional(v.picklist(["STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"])),
  /** Refused where the job is made. */
  maintenanceWindows: v.exactOptional(v.array(v.unknown())),
});

/** What stays as the owner said it. */
const configEntries = {
  targets: v.pipe(
    v.array(v.pipe(v.string(), v.maxLength(2048))),
    v.minLength(1),
    v.maxLength(jobLimits.targets),
  ),
  documentSource: v.exactOptional(v.pipe(v.string(), v.minLength(1), v.maxLength(1350))),
  description: v.exactOptional(prose),
  presignedUrlConfig: v.exactOptional(presignedUrlConfig),
  targetSelection: v.optional(v.picklist(["SNAPSHOT", "CONTINUOUS"]), "SNAPSHOT"),
  jobExecutionsRolloutConfig: v.exactOptional(rolloutConfig),
  abortConfig: v.exactOptional(abortConfig),
  timeoutConfig: v.exactOptional(
    v.object({ inProgressTimeoutInMinutes: v.exactOptional(integer(1, 10_080)) }),
  ),
  jobExecutionsRetryConfig: v.exactOptional(retryConfig),
  schedulingConfig: v.exactOptional(schedulingConfig),
  namespaceId: v.exactOptional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]+$/))),
  jobTemplateArn: v.exactOptional(v.pipe(v.string(), v.maxLength(1600), v.regex(/^arn:[!-~]+$/))),
  documentParameters: v.exactOptional(parametersSchema),
};

export const jobIdSchema = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9_-]{1,64}$/));

/** CreateJob. Unknown members are ignored, tags among them. */
export const jobRequestSchema = v.object({
  jobId: jobIdSchema,
  document: v.exactOptional(v.string()),
  ...configEntries,
});
type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;
/** Lists and objects may be frozen. */
export type JobRequest = DeepReadonly<v.InferInput<typeof jobRequestSchema>>;
export type JobConfig = v.InferOutput<typeof jobRequestSchema>;

const jobSchema = v.object({
  jobId: v.string(),
  ...configEntries,
  /** As it came, and with parameters filled in. */
  documentBefore: v.string(),
  document: v.string(),
  status: v.picklist(jobStatuses),
  /** Epoch milliseconds, as all that ends in `At` here. */
  createdAt: v.number(),
  lastUpdatedAt: v.number(),
  completedAt: v.exactOptional(v.number()),
  startAt: v.exactOptional(v.number()),
  endAt: v.exactOptional(v.number()),
  /** Its end time is over: nobody gets it any more. */
  ended: v.boolean(),
  forceCanceled: v.exactOptional(v.boolean()),
  reasonCode: v.exactOptional(v.string()),
  comment: v.exactOptional(v.string()),
  /** Things whose turn has not come. */
  waiting: v.array(v.string()),
  /** The minute of the rollout that goes on. */
  minute: v.exactOptional(
    v.object({ startedAt: v.number(), rate: v.number(), used: v.number(), countedAt: v.number() }),
  ),
});

const executionSchema = v.object({
  jobId: v.string(),
  thing: v.string(),
  number: v.number(),
  status: v.picklist(executionStatuses),
  statusDetails: v.exactOptional(statusDetailsSchema),
  version: v.number(),
  queuedAt: v.number(),
  startedAt: v.exactOptional(v.number()),
  lastUpdatedAt: v.number(),
  forceCanceled: v.exactOptional(v.boolean()),
  /** How often it was tried before, by why that was not enough. */
  retries: v.object({ FAILED: v.number(), TIMED_OUT: v.number() }),
  /** Ends of the timers that run. */
  inProgressEndsAt: v.exactOptional(v.number()),
  stepEndsAt: v.exactOptional(v.number()),
  /** Of two queued in the same millisecond the lower one is first. */
  order: v.number(),
});

export type Job = Readonly<v.InferOutput<typeof jobSchema>>;
export type JobExecution = Readonly<v.InferOutput<typeof executionSchema>>;

/** Things by the status of their latest execution. */
export type JobCounts = Readonly<Record<ExecutionStatus, number>>;

/** `executionState` of the answers. */
export type ExecutionState = {
  readonly status: ExecutionStatus;
  readonly statusDetails: StatusDetails;
  readonly versionNumber: number;
};

export function stateOf({ status, statusDetails = {}, version }: JobExecution): ExecutionState {
  return { status, statusDetails, versionNumber: version };
}

/** Kinds of record that jobs keep in the store. */
export const jobSchemas = { job: jobSchema, jobExecution: executionSchema } as const;
