// Why a TLS connection was refused or ended, what the peer is told about it, and what the owner of the stream.
import { AgentError, type ErrorCode } from "../../src/errors.js";

/** Alert descriptions this client sends. @see RFC 5246 7.2 */
export const alerts = Object.freeze({
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  badCertificate: 42,
  certificateExpired: 45,
  illegalParameter: 47,
  unknownCa: 48,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  internalError: 80,
  unsupportedExtension: 110,
  noApplicationProtocol: 120,
});

export type AlertName = keyof typeof alerts;

/** By them a server refuses a client's certificate. @see RFC 5246 7.2.2, RFC 8446 6.2 */
const aboutClient = Object.freeze([40, 42, 43, 44, 45, 46, 48, 49, 116]);

interface TLSErrorOptions {
  readonly cause?: unknown;
  /** Description of the alert that the server has sent. */
  readonly received?: number | undefined;
}

/** The message says what was wrong with which part of the handshake; never a secret. */
export class TLSError extends Error {
  // A field, not an assignment: built-in prototypes are frozen on XS.
  override readonly name = "TLSError";
  /** Description of the fatal alert for the peer; undefined when the peer ended the stream itself. */
  readonly alert: number | undefined;
  readonly received: number | undefined;

  constructor(alert: AlertName | undefined, message: string, options: TLSErrorOptions = {}) {
    super(message, options);
    this.alert = alert === undefined ? undefined : alerts[alert];
    this.received = options.received;
  }
}

/** @returns `error` in the terms that `onError` promises; what is no TLSError, as it is. */
export function asStreamError(error: unknown, server: string): unknown {
  if (!(error instanceof TLSError)) return error;
  return new AgentError(codeOf(error), `tls: ${server}: ${error.message}`, { cause: error });
}

function codeOf({ cause, received }: TLSError): ErrorCode {
  if (cause instanceof AgentError && cause.code.startsWith("trust/")) return "connection/untrusted";
  return aboutClient.includes(received ?? 0) ? "connection/refused" : "connection/lost";
}
