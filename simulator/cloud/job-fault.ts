// What the jobs service says no with, once for both of its planes: MQTT's codes (reference 4.5), REST's names.

import type { ExecutionState } from "./job-types.js";

export type JobFaultCode =
  | "InvalidTopic"
  | "InvalidJson"
  | "InvalidRequest"
  | "InvalidStateTransition"
  | "ResourceNotFound"
  | "VersionMismatch"
  | "InternalError"
  | "RequestThrottled"
  | "TerminalStateReached"
  | "ResourceAlreadyExists"
  | "LimitExceeded";

export interface JobFaultDetails {
  /** Told with InvalidStateTransition and VersionMismatch. */
  readonly state?: ExecutionState;
  /** `kind/name` of what is there already. */
  readonly resource?: string;
}

export class JobFault extends Error {
  override readonly name = "JobFault";
  readonly code: JobFaultCode;
  readonly state: ExecutionState | undefined;
  readonly resource: string | undefined;

  constructor(code: JobFaultCode, message: string, { state, resource }: JobFaultDetails = {}) {
    super(message);
    this.code = code;
    this.state = state;
    this.resource = resource;
  }
}

export const invalidJob = (message: string): JobFault => new JobFault("InvalidRequest", message);

interface RestName {
  readonly status: number;
  readonly type: string;
}

/** Botocore model "iot". */
const controlNames: Readonly<Record<JobFaultCode, RestName>> = Object.freeze({
  InvalidTopic: { status: 400, type: "InvalidRequestException" },
  InvalidJson: { status: 400, type: "InvalidRequestException" },
  InvalidRequest: { status: 400, type: "InvalidRequestException" },
  InvalidStateTransition: { status: 409, type: "InvalidStateTransitionException" },
  ResourceNotFound: { status: 404, type: "ResourceNotFoundException" },
  VersionMismatch: { status: 409, type: "VersionConflictException" },
  InternalError: { status: 500, type: "InternalFailureException" },
  RequestThrottled: { status: 400, type: "ThrottlingException" },
  TerminalStateReached: { status: 409, type: "InvalidStateTransitionException" },
  ResourceAlreadyExists: { status: 409, type: "ResourceAlreadyExistsException" },
  LimitExceeded: { status: 410, type: "LimitExceededException" },
});

/**
 * Where the model "iot-jobs-data" differs. Assumed for a version that differs (U in 4.8: there is no exception
 * for it): the 409 that there is.
 */
const dataNames: Readonly<Record<JobFaultCode, RestName>> = Object.freeze({
  ...controlNames,
  VersionMismatch: { status: 409, type: "InvalidStateTransitionException" },
  InternalError: { status: 503, type: "ServiceUnavailableException" },
  RequestThrottled: { status: 429, type: "ThrottlingException" },
  TerminalStateReached: { status: 410, type: "TerminalStateException" },
});

export function restNameOf(code: JobFaultCode, plane: "control" | "data"): RestName {
  return (plane === "control" ? controlNames : dataNames)[code];
}
