// Why a TLS connection was refused or ended, and what the peer is told about it.

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

/** The message says what was wrong with which part of the handshake; never a secret. */
export class TLSError extends Error {
  // A field, not an assignment: built-in prototypes are frozen on XS.
  override readonly name = "TLSError";
  /** Description of the fatal alert for the peer; undefined when the peer ended the stream itself. */
  readonly alert: number | undefined;

  constructor(alert: AlertName | undefined, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.alert = alert === undefined ? undefined : alerts[alert];
  }
}
