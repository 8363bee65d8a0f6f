// What paths of the control plane have in common: errors by name, pages, bodies (chapter 12.1 of the notes on AWS's protocol).

import { CloudError } from "./errors.js";
import { isObject, type JsonObject, parseJson } from "./json.js";
import { otaLimits } from "./limits.js";
import type { RestAnswer, RestRequest } from "./rest-answers.js";

/** @param resource the name in the path, decoded; empty for a list */
export type ControlHandler = (
  resource: string,
  request: RestRequest,
) => RestAnswer | Promise<RestAnswer>;

export interface ControlRoute {
  /** The group, when there is one, is the resource, still encoded. */
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, ControlHandler>>;
}

/** @returns undefined when no path fits: it may be one of the data plane's */
export async function answerRoutes(
  request: RestRequest,
  routes: readonly ControlRoute[],
): Promise<RestAnswer | undefined> {
  for (const { path, methods } of routes) {
    const match = path.exec(request.path);
    if (match === null) continue;
    const handler = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    if (handler === undefined) return undefined;
    try {
      return await handler(decodeURIComponent(match[1] ?? ""), request);
    } catch (error) {
      return failureOf(error);
    }
  }
  return undefined;
}

/** A time as the control plane writes it: seconds with a fraction. */
export function seconds(epochMs: number): number {
  return epochMs / 1000;
}

export function controlSuccess(body: JsonObject): RestAnswer {
  return { status: 200, headers: {}, body, isBare: true };
}

/** @throws CloudError "cloud/invalid-request"; no body is an empty object */
export function bodyOf({ body }: RestRequest): JsonObject {
  if (body.length === 0) return {};
  const parsed = parseJson(body, otaLimits.requestDepth);
  if (parsed.ok && isObject(parsed.value)) return parsed.value;
  throw invalidRequest("The body is not a JSON object");
}

export function invalidRequest(message: string): CloudError {
  return new CloudError("cloud/invalid-request", message);
}

/** What already exists, with its ARN. */
export class AlreadyExists extends Error {
  readonly resource: { readonly resourceId: string; readonly resourceArn: string };

  constructor(message: string, resourceId: string, resourceArn: string) {
    super(message);
    this.resource = { resourceId, resourceArn };
  }
}

/** Says which resource exists already. */
export async function orExists<T>(
  work: () => T | Promise<T>,
  resourceId: string,
  resourceArn: string,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== "cloud/exists") throw error;
    throw new AlreadyExists(error.message, resourceId, resourceArn);
  }
}

/** One page of a list, oldest first; the token is the place of the next. */
export function pageOf<T>(
  items: readonly T[],
  { query }: RestRequest,
): { readonly page: readonly T[]; readonly next: { readonly nextToken?: string } } {
  const { pageSize, pageSizeMax } = otaLimits;
  const size = Number(query.get("maxResults") ?? pageSize);
  if (!Number.isInteger(size) || size < 1 || size > pageSizeMax) {
    throw invalidRequest(`maxResults is not 1 to ${pageSizeMax}`);
  }
  const token = query.get("nextToken");
  const place = token === null ? "0" : Buffer.from(token, "base64url").toString();
  const at = Number(place);
  if (!/^\d{1,9}$/.test(place)) throw invalidRequest("Invalid nextToken");
  const end = at + size;
  const isLast = end >= items.length;
  const next = isLast ? {} : { nextToken: Buffer.from(`${end}`).toString("base64url") };
  return { page: items.slice(at, end), next };
}

function failureOf(error: unknown): RestAnswer {
  if (error instanceof AlreadyExists) {
    const { message, resource } = error;
    return named(409, "ResourceAlreadyExistsException", { message, ...resource });
  }
  if (error instanceof URIError) {
    return named(400, "InvalidRequestException", { message: "The path is not UTF-8" });
  }
  if (!(error instanceof CloudError)) throw error;
  const { code, message } = error;
  if (code === "cloud/not-found") return named(404, "ResourceNotFoundException", { message });
  if (code === "cloud/full") return named(410, "LimitExceededException", { message });
  if (code.startsWith("cloud/invalid-") || code === "cloud/in-use") {
    return named(400, "InvalidRequestException", { message });
  }
  return named(500, "InternalFailureException", { message });
}

function named(status: number, errorType: string, body: JsonObject): RestAnswer {
  return { status, headers: { "x-amzn-errortype": errorType }, body, isBare: true };
}
