// What can go wrong with a download, for trying devices: set for all requests, or decided for each.

import type { S3Answer } from "./s3-answers.js";
import { s3Failure } from "./s3-answers.js";

/** Several may hold at once. */
export interface DownloadFaults {
  /** The whole object with 200, whatever range was asked for. */
  readonly ignoresRanges?: boolean;
  /** 307 to the same address, without an end. */
  readonly redirects?: boolean;
  /** 200 and a page of HTML, as from a captive portal. */
  readonly webPage?: boolean;
  /** As if the URL had expired a second ago. */
  readonly expired?: boolean;
  readonly status?: 500 | 503;
  /** Added to both ends in the Content-Range of a 206; the bytes are those that were asked for. */
  readonly contentRangeShift?: number;
  /** The body has only so many bytes, and Content-Length says so; Content-Range does not. */
  readonly truncateBytes?: number;
  /** The connection breaks after so many bytes of the body. */
  readonly closeAfterBytes?: number;
  /** Before the first byte. */
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
}

/** A request as the one who decides about faults sees it. */
export interface DownloadRequest {
  readonly method: string;
  readonly bucket: string;
  readonly key: string;
  /** The Range header. */
  readonly range: string | undefined;
  /** Counts the requests of this run, from 1. */
  readonly number: number;
}

export type DownloadFaultsOf = (request: DownloadRequest) => DownloadFaults;

const page = "<!DOCTYPE html><html><body><h1>Welcome</h1><p>Please sign in.</p></body></html>";

/** What is answered instead of anything else. @param url of the request */
export function answerInstead(
  { redirects, webPage, status }: DownloadFaults,
  url: string,
): S3Answer | undefined {
  if (redirects) {
    const answer = s3Failure(307, "TemporaryRedirect", "Please re-send this request", {
      Endpoint: new URL(url).host,
    });
    return { ...answer, headers: { ...answer.headers, location: url } };
  }
  if (webPage) {
    return { status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: page };
  }
  if (status === 500) {
    return s3Failure(500, "InternalError", "We encountered an internal error. Please try again.");
  }
  if (status === 503) return s3Failure(503, "SlowDown", "Please reduce your request rate.");
  return undefined;
}

/** The answer with what the faults change of it. */
export function distorted(answer: S3Answer, faults: DownloadFaults): S3Answer {
  const { contentRangeShift = 0, truncateBytes } = faults;
  const { body, headers } = answer;
  if (typeof body !== "object") return answer;
  const changed: Record<string, string> = { ...headers };
  if (headers["content-range"] !== undefined) {
    const [from, to] = [body.from + contentRangeShift, body.to - 1 + contentRangeShift];
    changed["content-range"] = `bytes ${from}-${to}/${body.info.size}`;
  }
  const to = Math.min(body.to, body.from + (truncateBytes ?? body.info.size));
  changed["content-length"] = `${to - body.from}`;
  return { ...answer, headers: changed, body: { ...body, to } };
}
