// Shadow requests as they arrive: parsed and checked in the order that decides which error wins. Pure.

import { isObject, type Json, type JsonObject, parseJson } from "./json.js";
import type { ShadowLimits } from "./limits.js";
import { depthOf, hasNullInArray, type StatePatch } from "./shadow-document.js";
import { isPackageState, packageShadow } from "./shadow-package.js";

/** Codes and messages of developer guide "device-shadow-error-messages". */
export interface ShadowError {
  readonly code: number;
  readonly message: string;
}

export interface UpdateRequest {
  readonly state: StatePatch;
  readonly version: number | undefined;
}

/** A request with its token, or an error; the token is there whenever it could be parsed. */
export type Parsed<T> = { readonly clientToken: string | undefined } & (
  | { readonly ok: true; readonly request: T }
  | { readonly ok: false; readonly error: ShadowError; readonly request?: undefined }
);

export const shadowErrors = Object.freeze({
  invalidJson: { code: 400, message: "Invalid JSON" },
  missingState: { code: 400, message: "Missing required node: state" },
  stateNotObject: { code: 400, message: "State node must be an object" },
  desiredNotObject: { code: 400, message: "Desired node must be an object" },
  reportedNotObject: { code: 400, message: "Reported node must be an object" },
  invalidVersion: { code: 400, message: "Invalid version" },
  invalidClientToken: { code: 400, message: "Invalid clientToken" },
  tooDeep: {
    code: 400,
    message: "JSON contains too many levels of nesting; maximum is 6",
  },
  invalidNode: { code: 400, message: "State contains an invalid node" },
  unauthorized: { code: 401, message: "Unauthorized" },
  forbidden: { code: 403, message: "Forbidden" },
  thingNotFound: { code: 404, message: "Thing not found" },
  versionConflict: { code: 409, message: "Version conflict" },
  tooLarge: { code: 413, message: "The payload exceeds the maximum size allowed" },
  notUtf8: {
    code: 415,
    message: "Unsupported documented encoding; supported encoding is UTF-8",
  },
  /** The guide gives no text: assumed. */
  tooManyRequests: { code: 429, message: "Too many requests" },
  internal: { code: 500, message: "Internal service failure" },
} as const satisfies Record<string, ShadowError>);

export type ShadowErrorName = keyof typeof shadowErrors;

/** The key names the shadow: `thing` or `thing~name`. */
export function noSuchShadow(key: string): ShadowError {
  return { code: 404, message: `No shadow exists with name: '${key}'` };
}

const faults = {
  "not-utf-8": shadowErrors.notUtf8,
  "not-json": shadowErrors.invalidJson,
  "too-deep": shadowErrors.tooDeep,
} as const;

function failed(error: ShadowError, clientToken?: string): Parsed<never> {
  return { ok: false, error, clientToken };
}

/** The outer object and its token: what every shadow request starts with. */
function parseEnvelope(payload: Uint8Array, limits: ShadowLimits): Parsed<JsonObject> {
  const parsed = parseJson(payload, limits.jsonDepth);
  if (!parsed.ok) return failed(faults[parsed.fault]);
  // Assumed: JSON that is no object counts as invalid JSON.
  if (!isObject(parsed.value)) return failed(shadowErrors.invalidJson);
  const token = parsed.value.clientToken;
  if (token === undefined) return { ok: true, request: parsed.value, clientToken: undefined };
  if (typeof token !== "string" || Buffer.byteLength(token) > limits.clientTokenBytes) {
    return failed(shadowErrors.invalidClientToken);
  }
  return { ok: true, request: parsed.value, clientToken: token };
}

/** `get` and `delete`: an empty payload, or an object of which only the token counts. */
export function parseQuery(payload: Uint8Array, limits: ShadowLimits): Parsed<undefined> {
  if (payload.length === 0) return { ok: true, request: undefined, clientToken: undefined };
  const envelope = parseEnvelope(payload, limits);
  return envelope.ok ? { ...envelope, request: undefined } : envelope;
}

/** Order: JSON, clientToken, state, sections, depth, version's type. Unknown members beside them are ignored. */
export function parseUpdate(
  payload: Uint8Array,
  limits: ShadowLimits,
  name?: string,
): Parsed<UpdateRequest> {
  const envelope = parseEnvelope(payload, limits);
  if (!envelope.ok) return envelope;
  const { request, clientToken } = envelope;
  const error = stateError(request.state, limits, name) ?? versionError(request.version);
  if (error !== undefined) return failed(error, clientToken);
  const version = request.version as number | undefined;
  return { ok: true, request: { state: request.state as StatePatch, version }, clientToken };
}

function versionError(version: Json | undefined): ShadowError | undefined {
  if (version === undefined) return undefined;
  const isVersion = typeof version === "number" && Number.isSafeInteger(version) && version >= 0;
  return isVersion ? undefined : shadowErrors.invalidVersion;
}

/**
 * What is wrong with a `state` node, in the order of the errors.
 *
 * @param name undefined for the classic shadow
 */
export function stateError(
  state: Json | undefined,
  limits: ShadowLimits,
  name?: string,
): ShadowError | undefined {
  if (state === undefined) return shadowErrors.missingState;
  if (state === null) return undefined;
  if (!isObject(state)) return shadowErrors.stateNotObject;
  const { desired = null, reported = null } = state;
  if (desired !== null && !isObject(desired)) return shadowErrors.desiredNotObject;
  if (reported !== null && !isObject(reported)) return shadowErrors.reportedNotObject;
  const names = Object.keys(state);
  if (names.some(name => name !== "desired" && name !== "reported")) {
    return shadowErrors.invalidNode;
  }
  // That arrays count is assumed.
  if (Math.max(depthOf(desired), depthOf(reported)) > limits.depth) return shadowErrors.tooDeep;
  if (name === packageShadow && !isPackageState(state)) return shadowErrors.invalidNode;
  return hasNullInArray(state) ? shadowErrors.invalidNode : undefined;
}
