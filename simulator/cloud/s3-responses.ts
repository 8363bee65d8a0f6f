// Sends an S3 answer as HTTP: headers every answer has, and the bytes of objects, fast or slowly.

import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Objects } from "./objects.js";
import type { S3Answer } from "./s3-answers.js";

export interface Pace {
  /** The connection breaks there. */
  readonly closeAfterBytes?: number;
  readonly bytesPerSecond?: number;
  wait(ms: number): Promise<undefined>;
}

const tickMs = 100;

/** Resolves when the answer is sent or its connection is gone. */
export async function sendAnswer(
  response: ServerResponse,
  { status, headers, body }: S3Answer,
  objects: Pick<Objects, "read">,
  pace?: Pace,
): Promise<void> {
  const isHead = response.req.method === "HEAD";
  const text = typeof body === "string" ? body : "";
  const length = typeof body === "object" ? {} : { "content-length": Buffer.byteLength(text) };
  const bytes =
    typeof body === "object" && !isHead
      ? await objects.read(body.info, body.from, body.to)
      : Buffer.from(text);
  const closed = new Promise<void>(resolve => response.once("close", resolve));
  if (response.destroyed || response.socket?.destroyed) return;
  response.writeHead(status, {
    "x-amz-request-id": randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase(),
    "x-amz-id-2": Buffer.from(randomUUID()).toString("base64"),
    server: "AmazonS3",
    ...length,
    ...headers,
  });
  if (isHead) response.end();
  else if (pace === undefined) response.end(bytes);
  else await sendPaced(response, bytes, pace);
  await closed;
}

async function sendPaced(response: ServerResponse, bytes: Uint8Array, pace: Pace): Promise<void> {
  const { closeAfterBytes = Number.POSITIVE_INFINITY, bytesPerSecond } = pace;
  const end = Math.min(bytes.length, closeAfterBytes);
  const step = bytesPerSecond === undefined ? end : Math.ceil((bytesPerSecond * tickMs) / 1000);
  for (let at = 0; at < end && !response.destroyed; at += step) {
    if (bytesPerSecond !== undefined) await pace.wait(tickMs);
    response.write(bytes.subarray(at, Math.min(end, at + step)));
  }
  if (closeAfterBytes >= bytes.length) response.end();
  // What was written leaves before the connection breaks.
  else response.write("", () => response.destroy());
}
