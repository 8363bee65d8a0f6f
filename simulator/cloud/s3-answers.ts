// What S3 says about an object or a failure, before any of it is sent (S3 API reference, "GetObject", "ErrorResponses"). Pure.

import { type ByteRange, parseRange } from "./byte-range.js";
import { CloudError } from "./errors.js";
import type { ObjectInfo } from "./objects.js";

export interface S3Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text, or a part of an object; absent: none. */
  readonly body?: string | (ByteRange & { readonly info: ObjectInfo });
}

/** @param details elements of the answer beside its code and message, in order */
export function s3Failure(
  status: number,
  code: string,
  message: string,
  details: Readonly<Record<string, string>> = {},
): S3Answer {
  const elements = { Code: code, Message: message, ...details };
  const inner = Object.entries(elements).map(
    ([name, text]) => `<${name}>${escaped(text)}</${name}>`,
  );
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inner.join("")}</Error>`;
  return { status, headers: { "content-type": "application/xml" }, body };
}

export function noSuchKey(key: string): S3Answer {
  return s3Failure(404, "NoSuchKey", "The specified key does not exist.", { Key: key });
}

/** What storing an object ended in. */
export function storeFailure(error: unknown): S3Answer {
  if (!(error instanceof CloudError)) throw error;
  const { code, message } = error;
  if (code === "cloud/too-large") {
    return s3Failure(400, "EntityTooLarge", `Your proposed upload exceeds the maximum: ${message}`);
  }
  if (code === "cloud/invalid-object") return s3Failure(400, "InvalidArgument", message);
  return s3Failure(503, "ServiceUnavailable", message);
}

/**
 * GetObject and HeadObject with a range and conditions.
 *
 * @param headers by lower-case name
 */
export function objectAnswer(
  info: ObjectInfo,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): S3Answer {
  const { etag, size, version, modifiedAt } = info;
  const tag = `"${etag}"`;
  const about = {
    "last-modified": new Date(modifiedAt).toUTCString(),
    etag: tag,
    "x-amz-version-id": version,
    "accept-ranges": "bytes",
    "content-type": "binary/octet-stream",
  };
  const header = (name: string): string | undefined => headers[name]?.toString();
  if (!matches(header("if-match"), tag, true)) {
    const message = "At least one of the pre-conditions you specified did not hold";
    return s3Failure(412, "PreconditionFailed", message, { Condition: "If-Match" });
  }
  if (matches(header("if-none-match"), tag, false)) return { status: 304, headers: about };
  const isSame = matches(header("if-range"), tag, true);
  const range = isSame ? parseRange(header("range"), size) : undefined;
  if (range === "unsatisfiable") {
    const details = { RangeRequested: header("range") ?? "", ActualObjectSize: `${size}` };
    const answer = s3Failure(
      416,
      "InvalidRange",
      "The requested range is not satisfiable",
      details,
    );
    return { ...answer, headers: { ...answer.headers, "content-range": `bytes */${size}` } };
  }
  const { from, to } = range ?? { from: 0, to: size };
  const part = range === undefined ? {} : { "content-range": `bytes ${from}-${to - 1}/${size}` };
  return {
    status: range === undefined ? 200 : 206,
    headers: { ...about, ...part, "content-length": `${to - from}` },
    body: { info, from, to },
  };
}

function matches(header: string | undefined, tag: string, whenAbsent: boolean): boolean {
  if (header === undefined) return whenAbsent;
  const tags = header.split(",").map(each => each.trim());
  return tags.includes("*") || tags.includes(tag) || tags.includes(tag.slice(1, -1));
}

export function escaped(text: string): string {
  return text.replace(/[<>&]/g, sign => `&#${sign.charCodeAt(0)};`);
}
