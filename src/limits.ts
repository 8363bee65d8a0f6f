// Every bound in one frozen table: unit, reason, and who feels it when it is reached.

export const limits = Object.freeze({
  /** A message that is kept in memory; longer ones are read, acknowledged, dropped and reported. Shadow documents are 8 KB of state plus metadata. */
  messageBytes: 24_576,
  /** A topic the broker sends; AWS allows 256. Longer closes the link. */
  topicBytes: 512,
  /** A control packet with properties; the reasons servers give are a line. Longer closes the link. */
  controlBytes: 2048,
  /** Texts among the properties of one packet that are kept; the rest is passed over. AWS allows user properties of 8 KB. */
  propertyBytes: 2048,
  /** Topics the broker, and the agent, may abbreviate on one link. AWS allows 8. */
  topicAliases: 8,
  /** What a broker may send at most, told in CONNECT. AWS's own bound. */
  packetBytes: 149_504,
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
  /** Bytes of a payload that are copied behind the packet's header; the rest follows as it is. */
  firstBytes: 512,
  /** Bytes read from the socket at a time. */
  readBytes: 1024,
  /** Nesting of a JSON text, known or not. */
  jsonDepth: 32,
  /** Telemetry messages waiting in memory; the oldest is dropped and counted. */
  telemetryMessages: 32,
  /** Bytes of telemetry waiting in memory, topics included; as above. */
  telemetryBytes: 8192,
  /** A topic kept in the outbox. AWS allows 256. Refused when appended. */
  outboxTopicBytes: 256,
  /** A payload kept in the outbox: what the length in a record's head can say. A sector's size may allow less. */
  outboxPayloadBytes: 4095,
  /** The least partition for the outbox: two sectors for each class and for the ledger, one to spare. */
  outboxBlocks: 9,
  /** Messages of the outbox without PUBACK: the rest of the window is for shadows and jobs. */
  drainInFlight: 4,
  /** Messages of telemetry from memory without PUBACK, where there is no outbox; as above. */
  memoryInFlight: 6,
  /** The longest pause of the outbox when links or brokers do not take what it sends, or flash cannot be read; doubled up to it from 2 s. */
  drainPauseMs: 600_000,
  /** Windows in a row that were refused for a reason that may pass, before records are given up: about an hour. */
  drainRefusals: 12,
  /** The least time between two reports of gaps on one link; what is lost meanwhile is in the next. */
  gapReportMs: 10_000,
  /** Records in one message, where they are put together. */
  batchRecords: 64,
  /** Names in one telemetry message and in one set of settings. */
  names: 64,
  /** Channels a product declares; each is a topic, and up to 64 names in memory. */
  channels: 16,
  /** Bytes of a window's message, so that it fits in a sector of flash; a larger window is told in several. */
  windowBytes: 3072,
  /** UTF-8 bytes of a text in a window, which is kept until the window ends. Refused when longer. */
  textBytes: 128,
  /** The values of one set of settings, as JSON in one value of the key-value store (4,000 bytes on ESP32); more are refused. */
  settingsBytes: 3900,
  /** Of a verdict's reason, in UTF-16 units; cut. */
  verdictCharacters: 80,
  /** A firmware image; smaller where the slot is. Refused before anything is read. */
  imageBytes: 16_777_216,
  /** A job document that offers an image; a text in it costs three times its length while it is read. Refused when longer. */
  offerBytes: 12_288,
  /** A signed manifest. Refused when longer. */
  manifestBytes: 4096,
  /** A signature: RSA with 4096 bits. Refused when longer. */
  signatureBytes: 512,
  /** Signatures of one manifest, each of which may be calculated; keys of one product. More are refused. */
  signatures: 8,
  /** A link to an image; presigned ones have about 1,500. Refused when longer. */
  linkBytes: 2048,
  /** Sources of one image. More are refused. */
  sources: 4,
  /** A version, a product's or a board's name, of visible ASCII characters. Refused when longer. */
  nameBytes: 64,
  /** Named shadows beside the classic one. */
  namedShadows: 10,
  /** Named shadows that have filters of their own; more share wildcards. AWS takes 50 subscriptions a connection. */
  shadowsWithFilters: 4,
  /** Requests to the shadow service without an answer. AWS takes 10. */
  shadowsInFlight: 4,
  /** AWS takes 20 for each thing. */
  shadowRequestsPerSecond: 10,
  /** Starts of a job's handler that came to no end, before the job has failed; restarts that a job asks for without progress. */
  jobAttempts: 3,
  jobRestarts: 5,
  /** Steps of a managed template. Rejected when more. */
  jobSteps: 16,
  /** What a job's handler may keep over restarts. Refused when longer. */
  jobKeptBytes: 1024,
  /** Status details of a job: pairs and characters of each (AWS), and bytes of all, as they have to fit beside the rest in one value of the key-value store. Cut. */
  jobDetails: 10,
  jobDetailCharacters: 1024,
  jobDetailsBytes: 3000,
  /** The least time between two reports of a job's progress. */
  jobReportMs: 2000,
  /** How long a job waits for a gate that cannot be asked; the longest wait a gate may ask for. */
  jobGateMs: 600_000,
  jobGateMostMs: 86_400_000,
  /** How often the free heap is looked at, for the device's own shadow. */
  deviceStateMs: 3_600_000,
  /** Time a dial waits for a wall clock that is not set or behind what is known; looked at each `clockCheckMs`. */
  clockMs: 30_000,
  clockCheckMs: 1000,
  /** Time for a name's addresses; for TCP and TLS with one of them; from CONNECT to CONNACK. */
  resolveMs: 10_000,
  handshakeMs: 20_000,
  connackMs: 10_000,
  /** Addresses of one name that are tried. */
  addresses: 4,
  /** Time from dialing to CONNACK, all stages together. */
  connectMs: 40_000,
  /** Time for a reply to a request. */
  replyMs: 15_000,
  /** Time for PUBACK and SUBACK: MQTT 3.1.1 sends again after it, so often; MQTT 5 waits all of it. Then the link is dropped. */
  acknowledgeMs: 10_000,
  acknowledgeTries: 4,
  /** A refused filter is asked for again after this long, so often on one link. */
  subscribeRetryMs: 60_000,
  subscribeTries: 3,
  /** Publishes of ours in one second. AWS takes 100 a second and connection, both ways together. */
  publishesPerSecond: 80,
  /** Online this long counts as a success: only then the backoff starts again from its base. */
  stableMs: 60_000,
  /** Epoch ms, the end of 9999: no certificate is valid later. RFC 5280 4.1.2.5 */
  latestTime: 253_402_300_799_999,
  /** Dials of an endpoint the device was moved to, before it goes back. */
  endpointAttempts: 5,
  /** The shortest keep-alive that AWS keeps to; a silent link's is halved down to it. */
  leastKeepAliveMs: 30_000,
  /** A link that held this long may be silent longer again. */
  provenMs: 43_200_000,
  /** Devices that get their power back together spread their first dial over this long. */
  spreadMs: 60_000,
  /** A network that is back shortens the wait for the next dial to this at most, and not again for `stableMs`. */
  networkBackMs: 10_000,
  /** DISCONNECT has this long to leave the socket. */
  drainMs: 2000,
  /** A wake-up of a device that sleeps: failed dials after which it sleeps again, the longest wait for another dial, the looks. */
  cycleDials: 2,
  cycleRetryMs: 5000,
  cycleCheckMs: 50,
  /** Refusals of RegisterThing before the certificate is given up and a new one asked for. */
  registerAttempts: 3,
  /** How long the service remembers what an ownership token stands for. AWS: 1 hour. */
  tokenLifeMs: 3_600_000,
  /** Refused trials of the identity to come, while the one in force still works. */
  trialAttempts: 2,
  /** A refused step of a rotation is tried again after this long, on the same link. */
  rotationRetryMs: 60_000,
  /** Reports of a retired certificate that end the link instead of being acknowledged, before they are left until the next restart. */
  reportAttempts: 2,
  /** What is written where a certificate is to go, before one is asked for: about as long as one. */
  probeBytes: 1200,
  /** Settings of the template's own that the answer to RegisterThing may bring. */
  configurationBytes: 2048,
  /** Blocks of an image that are asked for ahead on a stream: with 4 KB each it is 64 KB; AWS sends 128 KB for one request. */
  streamWindow: 16,
  /** No more of them than come in this time: what else the cloud has to say comes behind them, and is waited for for 15 s. */
  streamAheadMs: 5000,
  /** Blocks that one request's bitmap spans: 128 bytes of it. */
  streamSpan: 1024,
  /** A stream that is silent this long is asked again; up to the longer time where blocks are known to come slowly. */
  streamSilenceMs: 10_000,
  streamPatienceMs: 40_000,
  /** Requests to a stream without any block, before it is given up. AWS's own library takes as many. */
  streamTries: 32,
  /** A request that found no room in the session is made again after this long. */
  streamBusyMs: 1000,
  /** A link to a file, in UTF-16 units: presigned ones take about 1,500. Longer is refused. */
  urlCharacters: 2048,
  /** Bytes in one request for a range; the next is asked for before they are all here. A multiple of a block. */
  rangeBytes: 65_536,
  /** Connections and answers without a block, before a link is given up; waits between them grow. */
  rangeTries: 8,
  /** Redirects between two blocks. */
  redirects: 3,
  /** Status line and header fields of one response; more is refused. */
  headBytes: 4096,
  /** Time from a request to the end of its response's head, and from block to block. */
  headMs: 15_000,
  blockMs: 60_000,
  /** Times that a server which ignores ranges is let send the whole file. */
  wholeFiles: 3,
  /** Links that are lost as soon as a source is asked, without a block between them, before it is given up. */
  linkLosses: 8,
  /** Fresh links that are asked for without a block between them. */
  linkTries: 3,
  /** Of what a server says, in an error's message. */
  quotedCharacters: 80,
  /** Refused connections as a new identity that never held a session, before the claim earns another. */
  adoptAttempts: 5,
  /** What a product may ask of an image on trial, and how often it is asked. */
  healthChecks: 16,
  healthCheckMs: 1000,
});
