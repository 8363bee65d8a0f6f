// Every bound of the local cloud, with its unit and where it comes from.
// Quotas are those of AWS General Reference, "AWS IoT Core endpoints and quotas"; others are marked assumed.

export const brokerLimits = Object.freeze({
  /**
   * Whole packet, header included: 146 KB on the quota page, and told in CONNACK. The guide says there that this
   * cannot exceed 128 KB; the two conflict, the quota page is followed. Checked before anything is buffered.
   */
  packetBytes: 149_504,
  /** A client that takes less is refused. */
  clientPacketBytesMin: 512,
  payloadBytes: 131_072,
  /** UTF-8 bytes of a topic or filter. */
  topicBytes: 256,
  /** Slashes in a topic or filter; `$aws/` topics are exempt. */
  topicSlashes: 7,
  filtersPerSubscribe: 8,
  subscriptionsPerConnection: 50,
  clientIdBytes: 128,
  /** Outbound unacknowledged QoS 1 messages; a client's own receive maximum may lower it. */
  inflight: 100,
  /** Inbound unacknowledged QoS 1 messages, told in CONNACK; each is answered before the next is read. */
  receiveMaximum: 100,
  /** Topic aliases, each way. */
  topicAliases: 8,
  /** Names and values together, UTF-8 bytes. */
  userPropertiesBytes: 8192,
  correlationDataBytes: 8192,
  contentTypeBytes: 256,
  messageExpiryMinSeconds: 1,
  messageExpiryMaxSeconds: 604_800,
  shareNameCharacters: 128,
  /** Shared subscription groups per account, and subscribers of each. */
  shareGroups: 100,
  shareMembers: 100,
  keepAliveMinSeconds: 30,
  keepAliveMaxSeconds: 1200,
  /** The account's: what MQTT 3.1.1 gets, and the most that MQTT 5 gets. */
  sessionExpiryMs: 3_600_000,
  /** Assumed: stored QoS 1 messages per session or share group; the newest is dropped when full. */
  queuedMessages: 1000,
  /** Assumed: bytes of stored QoS 1 messages per session or share group, payloads and properties. */
  queuedBytes: 4_194_304,
  /** Assumed: time from accept to CONNECT. */
  connectTimeoutMs: 30_000,
  /** Assumed: bytes that may arrive while one packet of the same connection is being handled. */
  inboxBytes: 1_048_576,
  /** AWS keeps 500,000 per account; assumed lower here, further topics are refused. */
  retainedTopics: 10_000,
  /** Assumed: client ids whose lifecycle version number is remembered. */
  presenceEntries: 10_000,
  /** AWS keeps sessions for all; assumed lower here, further persistent sessions end at disconnect. */
  storedSessions: 10_000,
});

export type BrokerLimits = { readonly [K in keyof typeof brokerLimits]: number };

export const provisioningLimits = Object.freeze({
  /** The ownership token lives one hour (developer guide, "fleet-provision-api"). */
  tokenLifeMs: 3_600_000,
  /** Botocore model: certificateSigningRequest is 1 to 4096 characters. */
  csrCharacters: 4096,
  /** Assumed: certificates waiting for RegisterThing. */
  pendingCertificates: 10_000,
  /** Assumed: requests of one connection that wait for their answer. */
  requestsInFlight: 10,
  /** Assumed: bytes of one request; a signing request is at most 4096 characters of it. */
  requestBytes: 32_768,
  /** Assumed: levels of arrays and maps in a request; a deeper one is refused unread. */
  requestDepth: 8,
  /** The hook has to answer within 5 seconds ("pre-provisioning-hook"). */
  hookMs: 5_000,
  /** A claim by a trusted user expires five minutes after it was made ("provision-wo-cert"). */
  temporaryClaimMs: 300_000,
  /** Who connected with one in time has five minutes to get a certificate ("provision-wo-cert"). */
  temporarySessionMs: 300_000,
  /** Template body is at most 10,240 characters (quota page). */
  templateCharacters: 10_240,
});

export const shadowLimits = Object.freeze({
  /** Serialized bytes of desired plus reported (quota page: 8 KB default). */
  documentBytes: 8192,
  /**
   * Levels of objects and arrays in desired or reported, that object itself the first; scalars count nothing.
   * The quota page says 8, the error text 6: as with packets the quota page is followed, the text is left as it is.
   */
  depth: 8,
  clientTokenBytes: 64,
  /** Requests by one thing's shadows per second (quota page); those of the owner by `Cloud` are not counted. */
  requestsPerSecond: 20,
  /** A deleted shadow's version is remembered for 48 hours. */
  deletionMemoryMs: 172_800_000,
  /** Assumed: brackets nested deeper than this are refused before the JSON is read at all. */
  jsonDepth: 64,
  /** Assumed: shadows in the store; another one is refused with 500. */
  shadows: 100_000,
});

export type ShadowLimits = { readonly [K in keyof typeof shadowLimits]: number };

export const restLimits = Object.freeze({
  /** Assumed: bytes of a request's body; a payload of 128 KB fits, more is answered 413. */
  bodyBytes: 131_072,
  /** Named shadows per page (botocore model: 1 to 100). */
  pageSizeMax: 100,
  /** Assumed: names in a page when the request does not say. */
  pageSize: 25,
  /** Assumed: a request has to be there in full by then. */
  requestMs: 30_000,
});

export const objectLimits = Object.freeze({
  /** The largest file that streams and OTA updates take (quota page); S3 itself takes more. */
  objectBytes: 25_165_824,
  /** Assumed: all versions of all objects; the oldest that were replaced go first, then a put is refused. */
  totalBytes: 268_435_456,
  /** Assumed: versions of objects. */
  objects: 10_000,
  /** UTF-8 bytes of a key (S3 user guide, "object-keys"). */
  keyBytes: 1024,
  /** A presigned URL lives seven days at most (S3 user guide, "using-presigned-url"). */
  presignSecondsMax: 604_800,
  /** Assumed: characters of the security token in a presigned URL, which makes it as long as the real ones. */
  securityTokenCharacters: 640,
});

export type ObjectLimits = { readonly [K in keyof typeof objectLimits]: number };

export const streamLimits = Object.freeze({
  /** Quota page; the API model says 50 (conflict 22 of the sources). */
  filesPerStream: 10,
  fileIdMax: 255,
  blockBytesMin: 256,
  blockBytesMax: 131_072,
  /** Block offset and number of blocks: 24 MB in blocks of 256 bytes. */
  blocksMax: 98_304,
  /** A bitmap is shorter than this. */
  bitmapBytes: 12_288,
  /** Bytes of file that one request is answered with. */
  requestBytes: 131_072,
  clientTokenBytes: 64,
  /** Streams per account. */
  streams: 10_000,
  /** Assumed: levels of arrays and maps in a request; its members are scalars. */
  requestDepth: 4,
  /** Assumed: requests of one connection that wait for their answer; another one is rejected. */
  requestsInFlight: 32,
});

export const otaLimits = Object.freeze({
  /** A job id has 64 characters at most, `AFR_OTA-` among them. */
  idCharacters: 56,
  /** As many as a stream has. */
  files: 10,
  /** Seconds that presigned URLs of an update live (API model), and the default for updates. */
  presignSecondsMin: 60,
  presignSecondsMax: 3600,
  presignSeconds: 1800,
  /** Assumed: updates that are kept. */
  updates: 10_000,
  /** Assumed: signing jobs that are kept; the oldest is forgotten. */
  signingJobs: 1000,
  /** Assumed: entries of a page of a list, and at most. */
  pageSize: 100,
  pageSizeMax: 250,
  /** Assumed: levels of objects and lists in a request to the control plane. */
  requestDepth: 16,
});
export const jobLimits = Object.freeze({
  /** Characters in the model, bytes here. */
  documentBytes: 32_768,
  targets: 100,
  /** Requests of all devices per second, reading and writing counted apart (quota page, device management). */
  requestsPerSecond: 200,
  /** Pairs of status details, and characters of each. */
  details: 10,
  detailNameCharacters: 128,
  detailCharacters: 1024,
  /** Executions told in one `notify`. */
  notified: 10,
  /** Finished jobs are remembered for 730 days. */
  retentionMs: 730 * 86_400_000,
  /** Assumed: jobs in the store; the one finished longest ago makes room, without any another one is refused. */
  jobs: 2_000,
  /** Assumed: things one job may reach. */
  thingsPerJob: 10_000,
  /** Assumed: executions in an answer to `get`, so that it fits a message. */
  listed: 500,
  /** Assumed: executions kept of one job on one thing; the oldest finished one makes room. */
  executionsKept: 24,
  /** Assumed: brackets nested deeper than this are refused before the JSON is read at all. */
  jsonDepth: 64,
  /** Entries in a page (botocore model: at most 250). */
  pageSizeMax: 250,
  /** Longest delay that timers of Node keep; a later time is waited for in parts. */
  timerMs: 2_147_483_647,
});

export type JobLimits = { readonly [K in keyof typeof jobLimits]: number };
