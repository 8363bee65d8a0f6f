// Shadow documents as bytes: only the names the product declared are ever read.
import { type Read, readJson, type Shape, unsupported, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import { faultOf, type Schema, shapeOf, type Value, type Values } from "./schema.js";
import type { Members, ShadowEvent } from "./shadow.js";

export function getRequest(clientToken: string): Uint8Array {
  return toUtf8(writeJson({ clientToken }));
}

/** An update of `state.reported` with just these members. */
export function updateRequest(reported: Values, clientToken: string): Uint8Array {
  return toUtf8(writeJson({ state: { reported }, clientToken }));
}

/** A reply, and the token of the request it answers; every subscriber sees every reply. */
export interface Reply {
  readonly clientToken: string | undefined;
  readonly event: ShadowEvent;
}

/** get/accepted. @throws AgentError "shadow/response", "codec/json" */
export function parseDocument(payload: Uint8Array, schema: Schema): Reply {
  const members = shapeOf(schema);
  const shape = {
    state: { desired: members, reported: members },
    version: "integer",
    clientToken: "string",
  } as const;
  const document = readJson(payload, shape, "shadow get/accepted");
  const { state, clientToken } = document;
  return {
    clientToken,
    event: {
      type: "document",
      desired: (state?.desired ?? {}) as Members,
      reported: (state?.reported ?? {}) as Members,
      version: versionOf(document.version, "get/accepted"),
    },
  };
}

/** update/delta. @throws AgentError "shadow/response", "codec/json" */
export function parseDelta(payload: Uint8Array, schema: Schema): ShadowEvent {
  const shape: { readonly state: Shape; readonly version: "integer" } = {
    state: shapeOf(schema),
    version: "integer",
  };
  const delta = readJson(payload, shape, "shadow update/delta") as {
    state?: Members;
    version?: number;
  };
  return {
    type: "delta",
    desired: delta.state ?? {},
    version: versionOf(delta.version, "update/delta"),
  };
}

const tokenShape = deepFreeze({ clientToken: "string" } as const);

/** update/accepted. */
export function parseAccepted(payload: Uint8Array): Reply {
  const { clientToken } = readJson(payload, tokenShape, "shadow update/accepted");
  return { clientToken, event: { type: "accepted" } };
}

const rejectedShape = deepFreeze({
  code: "integer",
  message: "string",
  clientToken: "string",
} as const);

/** get/rejected and update/rejected. */
export function parseRejected(payload: Uint8Array, request: "get" | "update"): Reply {
  const reply = readJson(payload, rejectedShape, `shadow ${request}/rejected`);
  return { clientToken: reply.clientToken, event: rejection(request, reply) };
}

function rejection(request: "get" | "update", reply: Read<typeof rejectedShape>): ShadowEvent {
  if (request === "get" && reply.code === 404) return { type: "absent" };
  // Version conflict, throttled, or the service's own trouble: begin again from what the cloud has.
  const code = reply.code ?? 0;
  if (request === "update" && (code === 409 || code === 429 || code >= 500))
    return { type: "conflict" };
  const reason = `${reply.code ?? "?"}: ${reply.message?.slice(0, 200) ?? "no reason given"}`;
  return {
    type: "rejected",
    error: new AgentError("shadow/rejected", `shadow ${request}: ${reason}`),
  };
}

function versionOf(version: number | undefined, where: string): number {
  if (version === undefined || version < 0) {
    throw new AgentError("shadow/response", `shadow ${where}: version ${version ?? "is missing"}`);
  }
  return version;
}

/** The values as stored. */
export function encodeValues(values: Values): Uint8Array {
  return toUtf8(writeJson(values));
}

/** Stored values that still fit the schema, defaults for the others. @throws AgentError "codec/json", "codec/utf8" */
export function parseValues(bytes: Uint8Array | undefined, schema: Schema): Values {
  const stored: Members = bytes ? (readJson(bytes, shapeOf(schema), "settings") as Members) : {};
  const values: Record<string, Value> = {};
  for (const name of Object.keys(schema)) {
    const setting = schema[name]!;
    const value = stored[name] ?? unsupported;
    values[name] = faultOf(setting, value) === undefined ? (value as Value) : setting.default;
  }
  return values;
}
