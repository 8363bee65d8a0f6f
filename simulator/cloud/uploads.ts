// The S3 API over HTTP as far as uploading and looking takes it, path style. For this machine only: signatures are accepted unchecked.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeAwsChunked } from "./aws-chunked.js";
import { listenError } from "./front.js";
import { restLimits } from "./limits.js";
import { Multipart } from "./multipart.js";
import { isBucketName, type ObjectAddress, type Objects } from "./objects.js";
import { objectOf } from "./presign.js";
import { isFromHere, readBody } from "./rest.js";
import { noSuchKey, objectAnswer, type S3Answer, s3Failure, storeFailure } from "./s3-answers.js";
import { sendAnswer } from "./s3-responses.js";

/** Frames and trailers of `aws-chunked` around the longest object. */
const framingBytes = 1_048_576;
/** Query members that are no request of their own. */
const harmless = /^(versionId|x-id|X-Amz-.*)$/;

export interface S3Request {
  readonly method: string;
  readonly address: ObjectAddress;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array;
}

export class Uploads {
  readonly #objects: Objects;
  readonly #multipart: Multipart;
  readonly #server: Server;

  private constructor(objects: Objects) {
    this.#objects = objects;
    this.#multipart = new Multipart(objects);
    this.#server = createServer({ requestTimeout: restLimits.requestMs }, (request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  /** @param host a loopback address @throws CloudError "cloud/port-in-use", "cloud/cannot-listen" */
  static async listen(objects: Objects, host: string, port: number): Promise<Uploads> {
    const uploads = new Uploads(objects);
    await new Promise<void>((resolve, reject) => {
      uploads.#server.once("error", cause => reject(listenError(host, port, cause)));
      uploads.#server.listen(port, host, resolve);
    });
    return uploads;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, this.#objects.limits.objectBytes + framingBytes);
    let answer: S3Answer;
    try {
      answer = await this.#answer(request, body);
    } catch {
      answer = s3Failure(500, "InternalError", "We encountered an internal error.");
    }
    await sendAnswer(response, answer, this.#objects);
  }

  async #answer(request: IncomingMessage, body: Uint8Array | undefined): Promise<S3Answer> {
    const { method = "", url = "", headers } = request;
    if (!isFromHere(request)) return s3Failure(403, "AccessDenied", "Access Denied");
    const [path = "", text = ""] = url.split(/\?(.*)/s, 2);
    const query = new URLSearchParams(text);
    const address = objectOf(path);
    if (address === undefined) return bucketAnswer(method, path, query);
    const content = contentOf(headers, body);
    if (content === "tooLarge") {
      return s3Failure(400, "EntityTooLarge", "Your proposed upload exceeds the maximum");
    }
    if (content === "malformed") {
      return s3Failure(400, "IncompleteBody", "The body is not well-formed aws-chunked content");
    }
    const asked: S3Request = { method, address, query, headers, body: content };
    const multipart = await this.#multipart.answer(asked);
    if (multipart !== undefined) return multipart;
    const strange = [...query.keys()].find(name => !harmless.test(name));
    return strange === undefined ? this.#object(asked) : notImplemented(strange);
  }

  async #object({ method, address, query, headers, body }: S3Request): Promise<S3Answer> {
    const version = query.get("versionId");
    const asked = version === null ? address : { ...address, version };
    if (method === "PUT") return this.#put(address, headers, body);
    if (method === "DELETE") {
      await this.#objects.remove(asked);
      return { status: 204, headers: {} };
    }
    if (method !== "GET" && method !== "HEAD") return notImplemented(method);
    const info = this.#objects.find(asked);
    return info === undefined ? noSuchKey(address.key) : objectAnswer(info, headers);
  }

  async #put(
    { bucket, key }: ObjectAddress,
    headers: IncomingMessage["headers"],
    body: Uint8Array,
  ): Promise<S3Answer> {
    if (headers["x-amz-copy-source"] !== undefined) return notImplemented("x-amz-copy-source");
    const md5 = headers["content-md5"];
    if (md5 !== undefined && md5 !== createHash("md5").update(body).digest("base64")) {
      const message = "The Content-MD5 you specified did not match what we received.";
      return s3Failure(400, "BadDigest", message);
    }
    try {
      const { etag, version } = await this.#objects.put(bucket, key, body);
      return { status: 200, headers: { etag: `"${etag}"`, "x-amz-version-id": version } };
    } catch (error) {
      return storeFailure(error);
    }
  }
}

/** A bucket comes with its first object, so that making one has nothing to do. */
function bucketAnswer(method: string, path: string, query: URLSearchParams): S3Answer {
  const bucket = path.replace(/^\/|\/$/g, "");
  if (!isBucketName(bucket)) {
    const message = "The specified bucket is not valid.";
    return s3Failure(400, "InvalidBucketName", message, { BucketName: bucket });
  }
  if (method === "PUT" && query.size === 0) {
    return { status: 200, headers: { location: `/${bucket}` } };
  }
  if (method === "HEAD") return { status: 200, headers: {} };
  return notImplemented(`${method} of a bucket`);
}

function contentOf(
  headers: IncomingMessage["headers"],
  body: Uint8Array | undefined,
): Uint8Array | "tooLarge" | "malformed" {
  if (body === undefined) return "tooLarge";
  const encodings = (headers["content-encoding"] ?? "").split(",").map(each => each.trim());
  return encodings.includes("aws-chunked") ? (decodeAwsChunked(body) ?? "malformed") : body;
}

export function notImplemented(what: string): S3Answer {
  const message = "A header or query you provided implies functionality that is not implemented.";
  return s3Failure(501, "NotImplemented", message, { Requested: what });
}
