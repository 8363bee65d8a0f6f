// What handlers of REST requests share: the request as they see it, its query, and pages. Pure.

import { invalidJob } from "./job-fault.js";
import type { Jobs } from "./jobs.js";
import type { Json, JsonObject } from "./json.js";
import { jobLimits } from "./limits.js";
import type { Thing } from "./registry.js";

export interface ControlServices {
  readonly jobs: Jobs;
  things(): readonly Thing[];
  createThing(name: string, attributes: Readonly<Record<string, string>>): Thing;
  /** Epoch ms. */
  now(): number;
}

export type Plane = "control" | "data";

/** A request whose path was read and whose body is an object. */
export interface ControlRequest {
  /** What the path holds, decoded. */
  readonly names: readonly string[];
  readonly query: URLSearchParams;
  readonly body: JsonObject;
}

export interface ControlRoute {
  readonly method: string;
  /** Its groups are names, still encoded. */
  readonly path: RegExp;
  /** @throws JobFault */
  perform(request: ControlRequest, services: ControlServices): JsonObject;
}

/** One that is not said is undefined. @throws JobFault */
export function flagOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (text === "true" || text === "false") return text === "true";
  throw invalidJob(`${name} is not true or false`);
}

/** @throws JobFault */
export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalidJob(`${name} is not a whole number`);
}

/** @throws JobFault */
export function choiceOf<T extends string>(
  query: URLSearchParams,
  name: string,
  values: readonly T[],
): T | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const value = values.find(each => each === text);
  if (value === undefined) throw invalidJob(`${name} is not one of ${values.join(", ")}`);
  return value;
}

/**
 * A page in the order of the keys; the token is the last key given, so that what is deleted meanwhile loses nothing.
 * Assumed: without maxResults a page holds as much as it may.
 */
export function pageOf<T>(
  name: string,
  items: readonly T[],
  keyOf: (item: T) => string,
  toJson: (item: T) => Json,
  query: URLSearchParams,
): JsonObject {
  const size = numberOf(query, "maxResults") ?? jobLimits.pageSizeMax;
  if (size < 1 || size > jobLimits.pageSizeMax) {
    throw invalidJob(`maxResults is not 1 to ${jobLimits.pageSizeMax}`);
  }
  const after = Buffer.from(query.get("nextToken") ?? "", "base64url").toString();
  const rest = items
    .map(item => ({ item, key: keyOf(item) }))
    .filter(({ key }) => key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const page = rest.slice(0, size);
  const last = page.at(-1);
  return {
    [name]: page.map(({ item }) => toJson(item)),
    ...(rest.length > size && last !== undefined
      ? { nextToken: Buffer.from(last.key).toString("base64url") }
      : {}),
  };
}
