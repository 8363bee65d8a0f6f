// MQTT-based file delivery: requests on `$aws/things/{thing}/streams/{stream}/…`, answers straight to who asked
// ("mqtt-based-file-delivery"), at QoS 0: assumed (conflict 31 of the sources).
// What may be asked is in stream-request, what there is in stream-records.

import type { Client } from "./broker-types.js";
import type { PendingWork } from "./environment.js";
import { streamLimits } from "./limits.js";
import type { Objects } from "./objects.js";
import { afterFaults, type StreamBlock, type StreamFaults } from "./stream-faults.js";
import {
  isStreamId,
  type Stream,
  type StreamContent,
  type StreamFile,
  StreamRecords,
  type StreamRecordsOptions,
} from "./stream-records.js";
import {
  blocksOf,
  encodeReply,
  type GetRequest,
  membersOf,
  parseGet,
  StreamError,
  type StreamFormat,
  type StreamOperation,
  tokenOf,
} from "./stream-request.js";

export interface StreamsOptions extends StreamRecordsOptions {
  readonly objects: Objects;
  readonly pending: PendingWork;
}

interface Request {
  readonly stream: string;
  readonly operation: StreamOperation;
  readonly format: StreamFormat;
  readonly payload: Uint8Array;
  /** The token of the request, echoed in each answer. */
  readonly token: { readonly c?: string };
  reply(kind: "description" | "data" | "rejected", body: Readonly<Record<string, unknown>>): void;
}

const topicPattern = /^(\$aws\/things\/[^/]+\/streams\/([^/]+))\/(describe|get)\/(json|cbor)$/;

export class Streams {
  /** Of every request from now on. */
  faults: StreamFaults = {};
  readonly #options: StreamsOptions;
  readonly #records: StreamRecords;
  readonly #inFlight = new WeakMap<Client, number>();

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#records = new StreamRecords(options);
  }

  static isRequest(topic: string): boolean {
    return topicPattern.test(topic);
  }

  find(streamId: string): Stream | undefined {
    return this.#records.find(streamId);
  }

  list(): readonly Stream[] {
    return this.#records.list();
  }

  /** @throws CloudError "cloud/invalid-stream", "cloud/exists", "cloud/full" */
  create(streamId: string, content: StreamContent): Stream {
    return this.#records.create(streamId, content);
  }

  /** @throws CloudError "cloud/not-found", "cloud/invalid-stream" */
  update(streamId: string, content: Partial<StreamContent>): Stream {
    return this.#records.update(streamId, content);
  }

  /** @throws CloudError "cloud/not-found" */
  remove(streamId: string): void {
    this.#records.remove(streamId);
  }

  /** Answers later on `…/description`, `…/data` or `…/rejected`; never throws. */
  handle(topic: string, payload: Uint8Array, client: Client): void {
    const [, prefix, stream, operation, asked] = topicPattern.exec(topic) ?? [];
    if (prefix === undefined || stream === undefined || this.faults.isSilent) return;
    const format = asked === "cbor" ? "cbor" : "json";
    const reply: Request["reply"] = (kind, body) =>
      client.reply(`${prefix}/${kind}/${format}`, encodeReply(format, body));
    const kind = operation === "get" ? "get" : "describe";
    const request: Request = { stream, operation: kind, format, payload, token: {}, reply };
    const inFlight = this.#inFlight.get(client) ?? 0;
    if (inFlight >= streamLimits.requestsInFlight) {
      return reject(request, new StreamError("InternalError", "Too many requests"));
    }
    this.#inFlight.set(client, inFlight + 1);
    const work = this.#answer(request).finally(() => {
      this.#inFlight.set(client, (this.#inFlight.get(client) ?? 1) - 1);
    });
    this.#options.pending.track(work);
  }

  async #answer(request: Request): Promise<void> {
    let asked = request;
    try {
      const members = membersOf(request.format, request.payload);
      const c = tokenOf(members);
      if (c !== undefined) asked = { ...request, token: { c } };
      this.#checkTopic(asked);
      if (asked.operation === "describe") this.#describe(asked);
      else await this.#get(asked, parseGet(members));
    } catch (error) {
      reject(asked, error);
    }
  }

  /** After the request is read, so that its token can be said. */
  #checkTopic({ stream }: Request): void {
    if (!isStreamId(stream)) throw new StreamError("InvalidTopic", `Invalid stream id: ${stream}`);
    const { rejection } = this.faults;
    if (rejection !== undefined) throw new StreamError(rejection, "Rejected on purpose");
  }

  #describe({ stream, token, reply }: Request): void {
    const { streamVersion: s, description: d, files } = this.#need(stream);
    const r = files.map(({ fileId, size }) => ({ f: fileId, z: size }));
    reply("description", { ...token, s, d, r });
  }

  async #get({ stream: id, token, reply }: Request, request: GetRequest): Promise<void> {
    const stream = this.#need(id);
    const { streamVersion, fileId, blockBytes } = request;
    if (streamVersion !== undefined && streamVersion !== stream.streamVersion) {
      const message = `The stream has version ${stream.streamVersion}, not ${streamVersion}`;
      throw new StreamError("VersionMismatch", message);
    }
    const file = stream.files.find(each => each.fileId === fileId);
    if (file === undefined) throw notFound(`The stream has no file ${fileId}`);
    const wanted = blocksOf(request, file.size);
    // Assumed (5.6) for blocks behind the end when no other is asked for: the guide counts blocks among what is not found.
    if (wanted === undefined) throw notFound(`File ${fileId} has none of these blocks`);
    const blocks = await this.#read(id, file, wanted, blockBytes);
    for (const { fileId: f, index: i, payload: p } of afterFaults(blocks, this.faults)) {
      reply("data", { ...token, f, l: p.length, i, p });
    }
  }

  #need(id: string): Stream {
    const stream = this.#records.find(id);
    if (stream === undefined) throw notFound(`Stream ${id} does not exist`);
    return stream;
  }

  /** @param wanted numbers of blocks, ascending */
  async #read(
    stream: string,
    { fileId, s3Location, etag, size }: StreamFile,
    wanted: readonly number[],
    blockBytes: number,
  ): Promise<StreamBlock[]> {
    const { objects } = this.#options;
    const info = objects.find(s3Location);
    if (info === undefined) throw notFound(`The object of file ${fileId} is gone`);
    if (info.etag !== etag) {
      throw new StreamError("ETagMismatch", `The object of file ${fileId} has changed`);
    }
    return Promise.all(
      wanted.map(async index => {
        const from = index * blockBytes;
        const payload = await objects.read(info, from, Math.min(from + blockBytes, size));
        return { stream, fileId, index, payload };
      }),
    );
  }
}

/** In short names, which is assumed (conflict 23 of the sources). Anything but a refusal is a fault of this cloud's. */
function reject({ token, reply }: Request, error: unknown): void {
  const { code, message } =
    error instanceof StreamError
      ? error
      : new StreamError("InternalError", "An internal error occurred");
  reply("rejected", { o: code, m: message, ...token });
}

function notFound(message: string): StreamError {
  return new StreamError("ResourceNotFound", message);
}
