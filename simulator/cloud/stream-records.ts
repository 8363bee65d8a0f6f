// Streams as the owner makes, changes and removes them (botocore model "iot": CreateStream and its kin).

import * as v from "valibot";
import type { Clock } from "./environment.js";
import { CloudError } from "./errors.js";
import { streamLimits } from "./limits.js";
import type { Objects } from "./objects.js";
import { arnPrefix } from "./policy.js";
import type { Store } from "./store.js";

const location = v.object({
  bucket: v.string(),
  key: v.string(),
  version: v.exactOptional(v.string()),
});
const fileSchema = v.object({
  fileId: v.number(),
  s3Location: location,
  /** As they were when the stream was made or changed. */
  etag: v.string(),
  size: v.number(),
});
const streamSchema = v.object({
  streamId: v.string(),
  streamVersion: v.number(),
  description: v.string(),
  roleArn: v.string(),
  files: v.array(fileSchema),
  createdAt: v.number(),
  lastUpdatedAt: v.number(),
});

export const streamSchemas = { stream: streamSchema } as const;

export type S3Location = Readonly<v.InferOutput<typeof location>>;
/** Times are epoch milliseconds. */
export type Stream = Readonly<v.InferOutput<typeof streamSchema>>;
export type StreamFile = Stream["files"][number];

export interface StreamContent {
  readonly description?: string;
  readonly roleArn?: string;
  readonly files: readonly { readonly fileId: number; readonly s3Location: S3Location }[];
}

const idPattern = /^[a-zA-Z0-9_-]{1,128}$/;

export function isStreamId(text: string): boolean {
  return idPattern.test(text);
}

export function streamArn(streamId: string): string {
  return `${arnPrefix}stream/${streamId}`;
}

export interface StreamRecordsOptions {
  readonly store: Store;
  readonly objects: Pick<Objects, "find">;
  readonly clock: Clock;
}

export class StreamRecords {
  readonly #options: StreamRecordsOptions;
  readonly #streams: Map<string, Stream>;

  constructor(options: StreamRecordsOptions) {
    this.#options = options;
    this.#streams = new Map(options.store.list("stream", streamSchema));
  }

  find(streamId: string): Stream | undefined {
    return this.#streams.get(streamId);
  }

  list(): readonly Stream[] {
    return [...this.#streams.values()];
  }

  /** @throws CloudError "cloud/invalid-stream", "cloud/exists", "cloud/full" */
  create(streamId: string, { description = "", roleArn = "", files }: StreamContent): Stream {
    if (!isStreamId(streamId)) {
      throw invalid(`The stream id "${streamId}" is not 1 to 128 of A-Z a-z 0-9 _ -.`);
    }
    if (this.#streams.has(streamId)) {
      throw new CloudError("cloud/exists", `Stream ${streamId} already exists.`);
    }
    if (this.#streams.size >= streamLimits.streams) {
      const message = `There are ${this.#streams.size} streams: no more may be.`;
      throw new CloudError("cloud/full", message);
    }
    const now = this.#options.clock.now();
    const times = { createdAt: now, lastUpdatedAt: now };
    const found = this.#filesOf(files);
    return this.#put({ streamId, streamVersion: 1, description, roleArn, files: found, ...times });
  }

  /** What is given replaces what was there; the version goes up. @throws CloudError "cloud/not-found", … */
  update(streamId: string, content: Partial<StreamContent>): Stream {
    const stream = this.#need(streamId);
    const { description = stream.description, roleArn = stream.roleArn, files } = content;
    return this.#put({
      ...stream,
      description,
      roleArn,
      files: files === undefined ? stream.files : this.#filesOf(files),
      streamVersion: stream.streamVersion + 1,
      lastUpdatedAt: this.#options.clock.now(),
    });
  }

  /** @throws CloudError "cloud/not-found" */
  remove(streamId: string): void {
    this.#need(streamId);
    this.#streams.delete(streamId);
    this.#options.store.remove("stream", streamId);
  }

  #need(streamId: string): Stream {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return stream;
    throw new CloudError("cloud/not-found", `Stream ${streamId} does not exist.`);
  }

  #put(stream: Stream): Stream {
    this.#streams.set(stream.streamId, stream);
    this.#options.store.put("stream", stream.streamId, stream);
    return stream;
  }

  /** Assumed: an object that is not there is refused now, not when a device asks. */
  #filesOf(files: StreamContent["files"]): StreamFile[] {
    const { filesPerStream, fileIdMax } = streamLimits;
    if (files.length < 1 || files.length > filesPerStream) {
      throw invalid(`A stream has 1 to ${filesPerStream} files, not ${files.length}.`);
    }
    const ids = new Set(files.map(({ fileId }) => fileId));
    if (ids.size < files.length) throw invalid("A file id is given twice.");
    return files.map(({ fileId, s3Location }) => {
      if (!Number.isInteger(fileId) || fileId < 0 || fileId > fileIdMax) {
        throw invalid(`The file id ${fileId} is not 0 to ${fileIdMax}.`);
      }
      const info = this.#options.objects.find(s3Location);
      const { bucket, key } = s3Location;
      if (info === undefined) throw invalid(`There is no object ${bucket}/${key}.`);
      return { fileId, s3Location, etag: info.etag, size: info.size };
    });
  }
}

function invalid(message: string): CloudError {
  return new CloudError("cloud/invalid-stream", message);
}
