// Messages of the jobs service as bytes (AWS IoT developer guide, "jobs MQTT API"): only the members that are needed are read.
import { type Json, readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";

/** An execution as the service tells it. */
export interface Execution {
  readonly jobId: string;
  readonly executionNumber: number;
  /** As the service tells it: tells a job from one of its name that was deleted before. */
  readonly queuedAt?: number | undefined;
  /** `QUEUED`, `IN_PROGRESS` or one that is terminal. */
  readonly status: string;
  readonly version: number;
  readonly statusDetails: ReadonlyMap<string, string>;
  readonly secondsLeft: number | undefined;
  /** The text of the job document; absent where it was not asked for. */
  readonly document: Uint8Array | undefined;
}

/** What the service says of an execution when it refuses an update. */
export interface ExecutionState {
  readonly status: string;
  readonly version: number;
}

export interface GetRequest {
  readonly clientToken: string;
  /** Only of an execution that is named. */
  readonly executionNumber: number | undefined;
  readonly includeJobDocument: boolean;
}

export function getRequest(request: GetRequest): Uint8Array {
  return toUtf8(writeJson({ ...request }));
}

export interface UpdateRequest {
  readonly status: string;
  readonly statusDetails: ReadonlyMap<string, string> | undefined;
  readonly expectedVersion: number;
  readonly executionNumber: number;
  readonly stepTimeoutInMinutes: number | undefined;
  readonly clientToken: string;
}

export function updateRequest(request: UpdateRequest): Uint8Array {
  return toUtf8(writeJson({ ...request, includeJobExecutionState: true } as Json));
}

const executionShape = deepFreeze({
  jobId: "string",
  jobDocument: "raw",
  status: "string",
  statusDetails: "strings",
  versionNumber: "integer",
  executionNumber: "integer",
  queuedAt: "scalar",
  approximateSecondsBeforeTimedOut: "integer",
} as const);

const gotShape = deepFreeze({ execution: executionShape, clientToken: "string" } as const);

/** `.../get/accepted`. @throws AgentError "job/response", "codec/json", "codec/utf8" */
export function parseGot(payload: Uint8Array): {
  readonly clientToken: string | undefined;
  /** Absent where the queue is empty. */
  readonly execution: Execution | undefined;
} {
  const where = "jobs get/accepted";
  const { execution, clientToken } = readJson(payload, gotShape, where) ?? {};
  if (execution === undefined) return { clientToken, execution };
  const { jobDocument } = execution;
  return {
    clientToken,
    execution: {
      ...idOf(execution.jobId, execution.executionNumber, where),
      queuedAt: timeOf(execution.queuedAt),
      ...stateOf(execution, where),
      statusDetails: execution.statusDetails ?? new Map(),
      secondsLeft: execution.approximateSecondsBeforeTimedOut,
      // The message is longer, and would be kept as long.
      document: jobDocument?.slice(),
    },
  };
}

function idOf(jobId: string | undefined, executionNumber: number | undefined, where: string) {
  if (jobId === undefined || !/^[a-zA-Z0-9_-]{1,64}$/.test(jobId))
    throw new AgentError("job/response", `${where}: jobId is missing or cannot be one`);
  if (executionNumber === undefined || executionNumber < 0)
    throw new AgentError("job/response", `${where}: executionNumber is missing`);
  return { jobId, executionNumber };
}

function timeOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function stateOf(
  state: { readonly status?: string | undefined; readonly versionNumber?: number | undefined },
  where: string,
): ExecutionState {
  const { status, versionNumber } = state;
  if (status === undefined || versionNumber === undefined || versionNumber < 0)
    throw new AgentError("job/response", `${where}: status or versionNumber is missing`);
  return { status, version: versionNumber };
}

const hintShape = deepFreeze({
  execution: { jobId: "string", executionNumber: "integer", queuedAt: "scalar" },
} as const);

/** `notify-next`: which execution is the next. @throws AgentError "codec/json", "codec/utf8" */
export function parseHint(payload: Uint8Array): {
  readonly jobId: string | undefined;
  readonly executionNumber: number | undefined;
  readonly queuedAt: number | undefined;
} {
  const { execution } = readJson(payload, hintShape, "jobs notify-next") ?? {};
  const { jobId, executionNumber, queuedAt } = execution ?? {};
  return { jobId, executionNumber, queuedAt: timeOf(queuedAt) };
}

const stateShape = deepFreeze({
  status: "string",
  versionNumber: "integer",
} as const);

const updatedShape = deepFreeze({ executionState: stateShape, clientToken: "string" } as const);

/** `.../update/accepted`. @throws AgentError "job/response", "codec/json", "codec/utf8" */
export function parseUpdated(payload: Uint8Array): {
  readonly clientToken: string | undefined;
  readonly state: ExecutionState | undefined;
} {
  const where = "jobs update/accepted";
  const { executionState, clientToken } = readJson(payload, updatedShape, where) ?? {};
  return { clientToken, state: executionState && stateOf(executionState, where) };
}

const rejectedShape = deepFreeze({
  code: "string",
  message: "string",
  executionState: stateShape,
  clientToken: "string",
} as const);

/** `.../rejected`. @throws AgentError "job/response", "codec/json", "codec/utf8" */
export function parseRejected(
  payload: Uint8Array,
  request: "get" | "update",
): {
  readonly clientToken: string | undefined;
  readonly code: string;
  readonly error: AgentError;
  readonly state: ExecutionState | undefined;
} {
  const where = `jobs ${request}/rejected`;
  const reply = readJson(payload, rejectedShape, where) ?? {};
  const { executionState, message = "no reason given" } = reply;
  const code = reply.code?.slice(0, 40) ?? "?";
  return {
    clientToken: reply.clientToken,
    code,
    error: new AgentError(
      "job/rejected",
      `jobs ${request}: ${code}: ${Array.from(message.slice(0, 400)).slice(0, 200).join("")}`,
    ),
    state: executionState && stateOf(executionState, where),
  };
}
