// Requests and answers over REST, without HTTP: AWS's error names and shapes. Pure.

import type { JsonObject } from "./json.js";

export interface RestRequest {
  readonly method: string;
  /** As sent: percent-encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  /** The body goes as it is; others are given a `traceId`, unless they are a shadow's. */
  readonly isBare?: boolean;
}

/** Names by status (botocore model "iot-data"); 403 and 503 are the same wherever AWS has them. */
const errorTypes: Readonly<Record<number, string>> = Object.freeze({
  400: "InvalidRequestException",
  401: "UnauthorizedException",
  403: "ForbiddenException",
  404: "ResourceNotFoundException",
  405: "MethodNotAllowedException",
  409: "ConflictException",
  413: "RequestEntityTooLargeException",
  415: "UnsupportedDocumentEncodingException",
  429: "ThrottlingException",
  500: "InternalFailureException",
});

export function success(body: JsonObject): RestAnswer {
  return { status: 200, headers: {}, body };
}

/** @param body as clients look into it: the text is in `message` */
export function failure(
  status: number,
  body: JsonObject & { readonly message: string },
  headers: Readonly<Record<string, string>> = {},
): RestAnswer {
  const errorType = errorTypes[status] ?? "InternalFailureException";
  return { status, headers: { ...headers, "x-amzn-errortype": errorType }, body };
}

export const invalid = (message: string): RestAnswer => failure(400, { message });
