// Every bound in one frozen table: unit, reason, and who feels it when it is reached.

export const limits = Object.freeze({
  /** A message that is kept in memory; longer ones are read, acknowledged, dropped and reported. Shadow documents are 8 KB of state plus metadata. */
  messageBytes: 24_576,
  /** A topic the broker sends; AWS allows 256. Longer closes the link. */
  topicBytes: 512,
  /** Topic levels below the first; AWS counts slashes. Refused before sending. */
  topicSlashes: 7,
  /** Filters in one SUBSCRIBE (AWS); more are spread over several. */
  subscribeFilters: 8,
  /** QoS 1 publishes without PUBACK; more wait. AWS allows 100. */
  inFlight: 8,
  /** Requests of the agent's own parts waiting for the link; more is a fault of ours. */
  queuedRequests: 16,
  /** PUBACKs waiting for room in the socket; more closes the link. */
  queuedAcknowledgements: 64,
  /** Bytes of a PUBLISH the service takes (AWS 128 KB); refused locally. */
  payloadBytes: 131_072,
  /** Bytes read from the socket at a time. */
  readBytes: 1024,
  /** Nesting of a JSON text, known or not. */
  jsonDepth: 32,
  /** Telemetry messages waiting in memory; the oldest is dropped and counted. */
  telemetryMessages: 32,
  /** Bytes of telemetry waiting in memory, topics included; as above. */
  telemetryBytes: 8192,
  /** Names in one telemetry message and in one set of settings. */
  names: 64,
  /** Time a dial waits for a wall clock that is not set or behind what is known; looked at each `clockCheckMs`. */
  clockMs: 30_000,
  clockCheckMs: 1000,
  /** Time from dialing to CONNACK, all stages together. */
  connectMs: 40_000,
  /** Time for a reply to a request, and for a SUBACK. */
  replyMs: 15_000,
  /** Online this long counts as a success: only then the backoff starts again from its base. */
  stableMs: 60_000,
  /** Epoch ms, the end of 9999: no certificate is valid later. RFC 5280 4.1.2.5 */
  latestTime: 253_402_300_799_999,
  /** DISCONNECT has this long to leave the socket. */
  drainMs: 2000,
  /** Refusals of RegisterThing before the certificate is given up and a new one asked for. */
  registerAttempts: 3,
  /** Refused connections as a new identity that never held a session, before the claim earns another. */
  adoptAttempts: 5,
});
