// Uploads in several parts, which AWS's command line does for what is longer than 8 MB. Kept in memory until they are complete.

import { createHash, randomUUID } from "node:crypto";
import type { ObjectAddress, Objects } from "./objects.js";
import { escaped, type S3Answer, s3Failure, storeFailure } from "./s3-answers.js";
import type { S3Request } from "./uploads.js";

interface Upload extends ObjectAddress {
  readonly parts: Map<number, Uint8Array>;
}

/** Assumed: uploads that may be under way; the oldest is forgotten. */
const uploadsMax = 10;

export class Multipart {
  readonly #objects: Objects;
  readonly #uploads = new Map<string, Upload>();

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** @returns undefined for what is no part of such an upload */
  async answer(request: S3Request): Promise<S3Answer | undefined> {
    const { method, query } = request;
    if (method === "POST" && query.has("uploads")) return this.#begin(request);
    const id = query.get("uploadId");
    if (id === null) return undefined;
    const upload = this.#uploads.get(id);
    if (upload === undefined) {
      return s3Failure(404, "NoSuchUpload", "The specified upload does not exist.");
    }
    if (method === "PUT") return this.#part(upload, request);
    if (method === "POST") return this.#complete(id, upload);
    if (method !== "DELETE") return undefined;
    this.#uploads.delete(id);
    return { status: 204, headers: {} };
  }

  #begin({ address }: S3Request): S3Answer {
    const id = randomUUID();
    const [oldest] = this.#uploads.keys();
    if (this.#uploads.size >= uploadsMax && oldest !== undefined) this.#uploads.delete(oldest);
    this.#uploads.set(id, { ...address, parts: new Map() });
    const { bucket, key } = address;
    return xml("InitiateMultipartUploadResult", { Bucket: bucket, Key: key, UploadId: id });
  }

  #part({ parts }: Upload, { query, body }: S3Request): S3Answer {
    const number = Number(query.get("partNumber"));
    if (!Number.isInteger(number) || number < 1 || number > 10_000) {
      return s3Failure(400, "InvalidArgument", "Part number must be an integer from 1 to 10000");
    }
    const others = [...parts].filter(([each]) => each !== number);
    const length = others.reduce((sum, [, part]) => sum + part.length, body.length);
    if (length > this.#objects.limits.objectBytes) {
      return s3Failure(400, "EntityTooLarge", "Your proposed upload exceeds the maximum");
    }
    parts.set(number, body.slice());
    return { status: 200, headers: { etag: `"${createHash("md5").update(body).digest("hex")}"` } };
  }

  /** All parts that came, in order: the list in the request says nothing else. The ETag is that of one piece: assumed. */
  async #complete(id: string, { bucket, key, parts }: Upload): Promise<S3Answer> {
    const pieces = [...parts].sort(([one], [other]) => one - other).map(([, part]) => part);
    try {
      const { etag } = await this.#objects.put(bucket, key, Buffer.concat(pieces));
      this.#uploads.delete(id);
      const about = { Bucket: bucket, Key: key, ETag: `"${etag}"` };
      return xml("CompleteMultipartUploadResult", about);
    } catch (error) {
      return storeFailure(error);
    }
  }
}

function xml(name: string, members: Readonly<Record<string, string>>): S3Answer {
  const inner = Object.entries(members).map(([tag, text]) => `<${tag}>${escaped(text)}</${tag}>`);
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="${namespace}">${inner.join("")}</${name}>`;
  return { status: 200, headers: { "content-type": "application/xml" }, body };
}
