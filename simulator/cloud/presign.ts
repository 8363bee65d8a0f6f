// Presigned URLs (S3 API reference, "sigv4-query-string-auth"): made with a secret of the cloud, and checked as S3 does. Pure.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Random } from "./environment.js";
import { objectLimits } from "./limits.js";
import type { ObjectAddress } from "./objects.js";
import { arnPrefix } from "./policy.js";
import { type S3Answer, s3Failure } from "./s3-answers.js";

export const region = arnPrefix.split(":")[3] ?? "";
const accessKey = "ASIASKERRYLOCALCLOUD";
const algorithm = "AWS4-HMAC-SHA256";

export interface PresignOptions {
  /** What the URL is good for: the method is signed too. Default GET. */
  readonly method?: "GET" | "HEAD";
}

export interface PresignedRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** The Host header. */
  readonly host: string;
}

/** What a signature covers; the query is sorted and without it. */
interface Signed {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly host: string;
  readonly date: string;
  /** `{day}/{region}/s3/aws4_request` */
  readonly scope: string;
}

/** `/{bucket}/{key}`, still encoded in `path`. */
export function objectOf(path: string): ObjectAddress | undefined {
  const [, bucket, key] = /^\/([^/?]+)\/([^?]+)/.exec(path) ?? [];
  if (bucket === undefined || key === undefined) return undefined;
  try {
    return { bucket: decodeURIComponent(bucket), key: decodeURIComponent(key) };
  } catch {
    return undefined;
  }
}

export class Presigner {
  readonly #secret: string;
  readonly #token: string;

  /** @param secret of the cloud: URLs of an earlier run are good as long as it is the same */
  constructor(secret: string, random: Random) {
    this.#secret = secret;
    const bytes = (objectLimits.securityTokenCharacters * 3) / 4;
    this.#token = Buffer.from(random(bytes)).toString("base64");
  }

  /** @param endpoint scheme, host and port @param nowMs epoch milliseconds */
  sign(
    endpoint: string,
    { bucket, key, version }: ObjectAddress,
    expiresInSeconds: number,
    nowMs: number,
    { method = "GET" }: PresignOptions = {},
  ): string {
    const date = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
    const path = `/${encoded(bucket)}/${key.split("/").map(encoded).join("/")}`;
    const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`;
    const query: [string, string][] = [
      ["X-Amz-Algorithm", algorithm],
      ["X-Amz-Credential", `${accessKey}/${scope}`],
      ["X-Amz-Date", date],
      ["X-Amz-Expires", `${expiresInSeconds}`],
      ["X-Amz-Security-Token", this.#token],
      ["X-Amz-SignedHeaders", "host"],
      ...(version === undefined ? [] : [["versionId", version] as [string, string]]),
    ];
    const text = query.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
    const host = new URL(endpoint).host;
    const signature = this.#signature({ method, path, query: text, host, date, scope });
    return `${endpoint}${path}?${text}&X-Amz-Signature=${signature}`;
  }

  /** @returns what S3 refuses the request with; undefined when the URL is good */
  refusal({ method, target, host }: PresignedRequest, nowMs: number): S3Answer | undefined {
    const [path = "", query = ""] = target.split(/\?(.*)/s, 2);
    const parameters = new URLSearchParams(query);
    const given = parameters.get("X-Amz-Signature");
    if (given === null) return s3Failure(403, "AccessDenied", "Access Denied");
    const date = parameters.get("X-Amz-Date") ?? "";
    const seconds = parameters.get("X-Amz-Expires") ?? "";
    const startsAt = epochOf(date);
    if (startsAt === undefined || !/^\d{1,6}$/.test(seconds)) return malformed;
    if (Number(seconds) > objectLimits.presignSecondsMax) return malformed;
    const expiresAt = startsAt + Number(seconds) * 1000;
    if (nowMs >= expiresAt) return expired(seconds, expiresAt, nowMs);
    const signed = query
      .split("&")
      .filter(part => !part.startsWith("X-Amz-Signature="))
      .sort()
      .join("&");
    // Whose key and which region stands in what is signed.
    const scope = (parameters.get("X-Amz-Credential") ?? "").replace(/^[^/]*\//, "");
    const parts = { method, path, query: signed, host, date, scope };
    const isGood = equal(given, this.#signature(parts));
    return isGood ? undefined : mismatch;
  }

  /** Keys chained by date, region and service, as in Signature Version 4. */
  #signature({ method, path, query, host, date, scope }: Signed): string {
    const request = [method, path, query, `host:${host}\n`, "host", "UNSIGNED-PAYLOAD"].join("\n");
    const hash = createHash("sha256").update(request).digest("hex");
    const text = [algorithm, date, scope, hash].join("\n");
    let key: Buffer = Buffer.from(`AWS4${this.#secret}`);
    for (const part of scope.split("/")) key = hmac(key, part);
    return hmac(key, text).toString("hex");
  }
}

const malformed = s3Failure(
  400,
  "AuthorizationQueryParametersError",
  "X-Amz-Date and X-Amz-Expires must be a date in the ISO8601 long form and a number less than a week (in seconds)",
);

const mismatch = s3Failure(
  403,
  "SignatureDoesNotMatch",
  "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
);

/** @param nowMs later than `expiresAt` */
export function expired(seconds: string, expiresAt: number, nowMs: number): S3Answer {
  return s3Failure(403, "AccessDenied", "Request has expired", {
    "X-Amz-Expires": seconds,
    Expires: timestamp(expiresAt),
    ServerTime: timestamp(nowMs),
  });
}

function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d{3}/, "");
}

function epochOf(date: string): number | undefined {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  const [year, month, day, hour, minute, second] = parts.map(Number);
  if (year === undefined || month === undefined) return undefined;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Everything but A-Z a-z 0-9 - . _ ~ (RFC 3986). */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, each => `%${hex(each)}`);
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase();
}
