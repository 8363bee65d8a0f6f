// MQTT 5 reason codes and the two ways in which the cloud says no: to a CONNECT, and to a connection.
// Which code goes with which packet is the developer guide's "MQTT reason codes"; where it lists none, assumed.

import type { DisconnectReason, RefusalReason } from "./broker-types.js";

export const reason = Object.freeze({
  success: 0x00,
  withWill: 0x04,
  unspecified: 0x80,
  malformed: 0x81,
  protocolError: 0x82,
  unsupportedVersion: 0x84,
  clientIdInvalid: 0x85,
  notAuthorized: 0x87,
  shuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  takenOver: 0x8e,
  filterInvalid: 0x8f,
  topicInvalid: 0x90,
  aliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrative: 0x98,
  qosNotSupported: 0x9b,
  identifiersNotSupported: 0xa1,
} as const);

/** Reasons without a code say nothing: the link is gone, or the client said goodbye itself. */
const codes: Partial<Record<DisconnectReason, number>> = Object.freeze({
  AUTH_ERROR: reason.notAuthorized,
  CLIENT_ERROR: reason.malformed,
  DUPLICATE_CLIENTID: reason.takenOver,
  // Assumed: the guide names no code for a certificate that is switched off.
  FORBIDDEN_ACCESS: reason.shuttingDown,
  MQTT_KEEP_ALIVE_TIMEOUT: reason.keepAliveTimeout,
  SERVER_ERROR: reason.unspecified,
  SERVER_INITIATED_DISCONNECT: reason.shuttingDown,
  API_INITIATED_DISCONNECT: reason.administrative,
});

/** What DISCONNECT says to an MQTT 5 client; undefined: nothing is sent. */
export function disconnectCode(why: DisconnectReason): number | undefined {
  return codes[why];
}

/** Return codes of MQTT 3.1.1 3.2.2.3; what it has no word for closes the link without a CONNACK. */
const returnCodes: ReadonlyMap<number, number> = new Map<number, number>([
  [reason.unsupportedVersion, 1],
  [reason.clientIdInvalid, 2],
  // An older AWS text says 7.
  [reason.notAuthorized, 5],
]);

export function returnCode(code: number): number | undefined {
  return returnCodes.get(code);
}

/**
 * Why one packet is not taken: on MQTT 5 its answer carries `code`, else the connection ends for `reason`.
 * `THROTTLED` ends no connection.
 */
export interface Fault {
  readonly code: number;
  readonly reason: DisconnectReason;
  readonly detail: string;
}

/** Ends the connection from inside a handler, with the reason that goes into the lifecycle event. */
export class Disconnect extends Error {
  override readonly name: string = "Disconnect";
  readonly reason: DisconnectReason;
  readonly code: number | undefined;

  constructor(why: DisconnectReason, detail: string, code?: number, options?: ErrorOptions) {
    super(detail, options);
    this.reason = why;
    this.code = code;
  }
}

/** The peer broke the protocol; the message says how. */
export class MalformedPacket extends Disconnect {
  override readonly name = "MalformedPacket";

  constructor(detail: string, code: number = reason.malformed, options?: ErrorOptions) {
    super("CLIENT_ERROR", detail, code, options);
  }
}

/** Answers a CONNECT with a refusal; the code is MQTT 5's, without one there is no CONNACK. */
export class ConnectRefused extends Error {
  override readonly name = "ConnectRefused";
  readonly reason: RefusalReason;
  readonly code: number | undefined;

  constructor(why: RefusalReason, code?: number, detail = "") {
    super(detail);
    this.reason = why;
    this.code = code;
  }
}

const reasonStringCharacters = 120;

/** Short enough for the smallest packet a client may ask for, 512 bytes. */
export function reasonString(detail: string): string {
  // A cut must not leave half of a surrogate pair: ill-formed text may not be sent (MQTT 5 1.5.4).
  return detail.slice(0, reasonStringCharacters).replace(/[\uD800-\uDBFF]$/, "");
}
