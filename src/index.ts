// The public names, and nothing else.
export { Agent } from "./agent.js";
export { AgentError, type ErrorCode, type ErrorKind } from "./errors.js";
export type * from "./host.js";
export type { Job, JobFunction, JobGate, JobHandler, StatusDetails } from "./jobs/job.js";
export type { JobQueue } from "./jobs/jobs.js";
export type { MaintenanceWindow } from "./jobs/window.js";
export { limits } from "./limits.js";
export { MQTTClient } from "./mqtt/client.js";
export type {
  AgentOptions,
  ClaimIdentity,
  EndpointOptions,
  MQTTOptions,
  OwnIdentity,
  RotationOptions,
  TelemetryOptions,
} from "./options.js";
export { inWindow } from "./parts/jobs.js";
export { Settings } from "./parts/shadow.js";
export type { EnrollingOptions } from "./provisioning/enrolling.js";
export type { DeviceStateOptions } from "./shadow/device-state.js";
export type { Outcome } from "./shadow/follower.js";
export type { Changes, Schema, Setting, Values } from "./shadow/schema.js";
export type { AgentStatus } from "./status.js";
export type { ChannelOptions, Priority } from "./telemetry/channel.js";
export type { ChannelsOptions } from "./telemetry/channels.js";
export type { DutyCycle } from "./telemetry/cycle.js";
export type { DutyCyclePolicy, DutyCycleState, Why } from "./telemetry/duty-cycle.js";
export type { OutboxSettings } from "./telemetry/outgoing.js";
export type { SendOptions } from "./telemetry/sender.js";
export type { CertificateAndKey } from "./trust/credentials.js";
