// One error class with a closed kind to branch on and a stable code to name.

export type ErrorKind =
  /** Asked for the impossible: fix the product and restart. */
  | "config"
  /** Try again after a backoff. */
  | "network"
  | "timeout"
  /** The cloud said no: do not repeat unchanged. */
  | "refused"
  /** The peer broke the rules: drop the link. */
  | "protocol"
  /** Digest, signature or version: discard, never use. */
  | "integrity"
  /** Full, torn or worn: degrade and report. */
  | "storage"
  | "cancelled"
  /** A contract of our own is broken: report, start the part again. */
  | "bug";

/** Every code, with its kind. Codes are stable: documents, logs and cloud rules may name them. */
export const errorCodes = Object.freeze({
  "agent/options": "config",
  "agent/illegal-event": "bug",
  "agent/fault": "bug",
  "codec/cbor": "protocol",
  "codec/json": "protocol",
  "codec/utf8": "protocol",
  "connection/clock": "network",
  "connection/endpoint": "network",
  "connection/lost": "network",
  "connection/refused": "refused",
  "connection/resolve": "network",
  "connection/timeout": "timeout",
  "connection/untrusted": "integrity",
  "job/document": "protocol",
  "job/rejected": "refused",
  "job/response": "protocol",
  "job/timeout": "timeout",
  "mqtt/busy": "network",
  "mqtt/closed": "network",
  "mqtt/disconnected": "network",
  "mqtt/keep-alive": "timeout",
  "mqtt/limit": "config",
  "mqtt/packet": "protocol",
  "mqtt/publish": "refused",
  "mqtt/refused": "refused",
  "mqtt/taken-over": "refused",
  "mqtt/version": "refused",
  "mqtt/subscribe": "refused",
  "mqtt/unacknowledged": "timeout",
  "mqtt/unanswered": "network",
  "ota/document": "protocol",
  "ota/expired": "refused",
  "ota/image": "integrity",
  "ota/incompatible": "refused",
  "ota/reverted": "integrity",
  "ota/signature": "integrity",
  "ota/slot": "storage",
  "ota/source": "network",
  "ota/untrusted": "integrity",
  "ota/version": "refused",
  "outbox/flash": "storage",
  "outbox/full": "storage",
  "outbox/partition": "storage",
  "outbox/record": "config",
  "provisioning/rejected": "refused",
  "provisioning/response": "protocol",
  "provisioning/timeout": "timeout",
  "shadow/rejected": "refused",
  "shadow/response": "protocol",
  "shadow/timeout": "timeout",
  "storage/damaged": "storage",
  "storage/write": "storage",
  "telemetry/limit": "config",
  "trust/algorithm": "integrity",
  "trust/certificate": "integrity",
  "trust/chain-length": "integrity",
  "trust/clock": "bug",
  "trust/critical-extension": "integrity",
  "trust/der": "protocol",
  "trust/expired": "integrity",
  "trust/key-usage": "integrity",
  "trust/name-constraints": "integrity",
  "trust/not-authority": "integrity",
  "trust/not-yet-valid": "integrity",
  "trust/path-length": "integrity",
  "trust/pem": "protocol",
  "trust/purpose": "integrity",
  "trust/signature": "integrity",
  "trust/unknown-authority": "integrity",
  "trust/wrong-name": "integrity",
} as const satisfies Record<string, ErrorKind>);

export type ErrorCode = keyof typeof errorCodes;

/** What every part throws or reports. The message says what, where and which value; never a secret. */
export class AgentError extends Error {
  // A field, not an assignment: built-in prototypes are frozen on XS.
  override readonly name = "AgentError";
  readonly code: ErrorCode;
  readonly kind: ErrorKind;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.kind = errorCodes[code];
  }
}
