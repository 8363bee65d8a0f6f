// Shadow documents as bytes: only the names that are declared are ever read, what else is desired is named, within bounds.
import {
  encodeJson,
  type Json,
  type Judge,
  type Read,
  readJson,
  type Shape,
  unsupported,
  writeJson,
} from "../codec/json.js";
import { AgentError } from "../errors.js";
import { toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import type { Desired, Members } from "./reconcile.js";
import type { ShadowEvent } from "./record.js";
import { type FlatValues, faultOf, type Leaves, type Member, nest, type Value } from "./schema.js";
import type { Update } from "./update.js";

/** Member of `state.reported` that says why what is desired is not in force: by path, `<verdict>: <reason>`. */
export const verdictsName = "_verdicts";

/** Desired members without a declaration that are named. */
const maxOthers = 16;
const maxNameLength = 64;

export function getRequest(clientToken: string): Uint8Array {
  return toUtf8(writeJson({ clientToken }));
}

/** An update with just what is new. */
export function updateRequest(update: Update, clientToken: string): Uint8Array {
  const { verdicts, desired, version } = update;
  const reported: Record<string, Json | undefined> = update.reported ? nest(update.reported) : {};
  reported[verdictsName] = verdicts;
  const state = { reported, desired: desired && nest(desired) };
  return encodeJson({ state, version, clientToken } as {
    readonly [name: string]: Json | undefined;
  });
}

/** A reply, and the token of the request it answers; every subscriber sees every reply. */
export interface Reply {
  readonly clientToken: string | undefined;
  readonly event: ShadowEvent;
}

type Accepted = ShadowEvent & { readonly type: "accepted" | "foreign" };

/** The reader's shape for an object with these paths. */
export function shapeOf(paths: readonly string[]): { readonly [name: string]: Shape } {
  const shape: { [name: string]: Shape } = {};
  for (const path of paths) {
    const names = path.split(".");
    const last = names.pop()!;
    let at = shape;
    for (const name of names) {
      at[name] ??= {};
      at = at[name] as { [name: string]: Shape };
    }
    at[last] = "scalar";
  }
  return shape;
}

/** Collects what is desired and was never declared. */
class Others implements Judge {
  readonly verdicts = new Map<string, string>();
  more = 0;
  readonly #root: string;

  /** @param root path of the desired section */
  constructor(root: string) {
    this.#root = root;
  }

  onOther(path: string, name: string): void {
    if (path === this.#root) this.add(name, "unknown");
    else if (path.startsWith(`${this.#root}.`))
      this.add(`${path.slice(this.#root.length + 1)}.${name}`, "unknown");
  }

  add(path: string, verdict: string): void {
    // A name may be as long as the document.
    if (this.verdicts.size >= maxOthers || path.length > maxNameLength * 2) this.more++;
    else this.verdicts.set(path, verdict);
  }
}

/** @param section the desired section as read */
function desiredIn(section: unknown, leaves: Leaves, others: Others): Desired {
  const members = membersIn(section, Object.keys(leaves), path =>
    others.add(path, "wrong type: this is not an object"),
  );
  return { members, others: others.verdicts, moreOthers: others.more };
}

/** @param onWrong a group of this path is no object; told once */
function membersIn(
  section: unknown,
  paths: readonly string[],
  onWrong?: (path: string) => void,
): Members {
  const members: Record<string, Member> = {};
  let wrong: string | undefined;
  for (const path of paths) {
    let at: unknown = section;
    let from = 0;
    while (at !== undefined && at !== unsupported && from <= path.length) {
      const dot = path.indexOf(".", from);
      const to = dot < 0 ? path.length : dot;
      at = (at as { readonly [name: string]: unknown })[path.slice(from, to)];
      from = to + 1;
    }
    if (at === undefined || at === null) continue;
    if (at === unsupported && from <= path.length) {
      const group = path.slice(0, from - 1);
      if (group !== wrong) onWrong?.(group);
      wrong = group;
    } else members[path] = at as Member;
  }
  return members;
}

/** get/accepted. @throws AgentError "shadow/response", "codec/json" */
export function parseDocument(payload: Uint8Array, leaves: Leaves, values: FlatValues): Reply {
  const where = "shadow get/accepted";
  const reportedPaths = Object.keys(values);
  const shape: { readonly [name: string]: Shape } = {
    state: {
      desired: shapeOf(Object.keys(leaves)),
      reported: { ...shapeOf(reportedPaths), [verdictsName]: "strings" },
    },
    version: "integer",
    clientToken: "string",
  };
  const others = new Others(`${where}.state.desired`);
  const document = (readJson(payload, shape, where, others) ?? {}) as Envelope<Sections>;
  const state = objectOf(document.state, where, "state");
  const desired = objectOf(state.desired, where, "desired");
  const reported = objectOf(state.reported, where, "reported");
  const told = reported[verdictsName];
  return {
    clientToken: document.clientToken,
    event: {
      type: "document",
      desired: desiredIn(desired, leaves, others),
      reported: membersIn(reported, reportedPaths),
      told: told instanceof Map ? told : undefined,
      version: versionOf(document.version, where),
    },
  };
}

interface Envelope<State> {
  readonly state?: State | typeof unsupported;
  readonly version?: number;
  readonly clientToken?: string;
}

interface Sections {
  readonly desired?: Section | typeof unsupported;
  readonly reported?: Section | typeof unsupported;
}

type Section = { readonly [name: string]: unknown };

/** @throws AgentError "shadow/response" for what is there and no object */
function objectOf<O extends object>(
  value: O | typeof unsupported | undefined,
  where: string,
  name: string,
): O {
  if (value === unsupported)
    throw new AgentError("shadow/response", `${where}: ${name} is not an object`);
  return value ?? ({} as O);
}

/** update/delta. @throws AgentError "shadow/response", "codec/json" */
export function parseDelta(payload: Uint8Array, leaves: Leaves): ShadowEvent {
  const where = "shadow update/delta";
  const shape: { readonly [name: string]: Shape } = {
    state: shapeOf(Object.keys(leaves)),
    version: "integer",
  };
  const others = new Others(`${where}.state`);
  const delta = (readJson(payload, shape, where, others) ?? {}) as Envelope<Section>;
  return {
    type: "delta",
    desired: desiredIn(objectOf(delta.state, where, "state"), leaves, others),
    version: versionOf(delta.version, where),
  };
}

/** Member `values` of a text that is to change settings. @throws AgentError "shadow/response", "codec/json" */
export function readValues(text: Uint8Array, leaves: Leaves): Desired {
  const where = "settings";
  const others = new Others(`${where}.values`);
  const shape: { readonly [name: string]: Shape } = { values: shapeOf(Object.keys(leaves)) };
  const { values } = (readJson(text, shape, where, others) ?? {}) as {
    readonly values?: Section | typeof unsupported;
  };
  return desiredIn(objectOf(values, where, "values"), leaves, others);
}

const acceptedShape = deepFreeze({
  state: { reported: "scalar" },
  version: "integer",
  clientToken: "string",
} as const);

/** Of an object, also where null stands for it. */
function membersOf<S extends { readonly [name: string]: Shape }>(
  payload: Uint8Array,
  shape: S,
  where: string,
): Partial<Read<S>> {
  return readJson(payload, shape, where) ?? {};
}

/** update/accepted: what one would have to know when it is somebody else's. @throws AgentError "shadow/response", "codec/json" */
export function parseAccepted(payload: Uint8Array): Reply & { readonly event: Accepted } {
  const where = "shadow update/accepted";
  const { state, version, clientToken } = membersOf(payload, acceptedShape, where);
  // Without `state` all of it was removed.
  const isReport = state?.reported !== undefined || state === undefined;
  return {
    clientToken,
    event: { type: "accepted", version: versionOf(version, where), isReport },
  };
}

const rejectedShape = deepFreeze({
  code: "integer",
  message: "string",
  clientToken: "string",
} as const);

/** get/rejected and update/rejected. @throws AgentError "codec/json" */
export function parseRejected(payload: Uint8Array, request: "get" | "update"): Reply {
  const reply = membersOf(payload, rejectedShape, `shadow ${request}/rejected`);
  return { clientToken: reply.clientToken, event: rejection(request, reply) };
}

function rejection(
  request: "get" | "update",
  reply: Partial<Read<typeof rejectedShape>>,
): ShadowEvent {
  const code = reply.code ?? 0;
  if (request === "get" && code === 404) return { type: "absent" };
  // A version, where there is no shadow any more, is as wrong as another one's.
  const isConflict = code === 409 || (code === 400 && reply.message === "Invalid version");
  if (request === "update" && isConflict) return { type: "conflict" };
  const reason = `${reply.code ?? "?"}: ${reply.message?.slice(0, 200) ?? "no reason given"}`;
  const error = new AgentError("shadow/rejected", `shadow ${request}: ${reason}`);
  if (code === 429 || code >= 500) return { type: "busy", error };
  return { type: "refused", error, isTooLong: code === 413 };
}

function versionOf(version: number | undefined, where: string): number {
  if (version === undefined || version < 0) {
    throw new AgentError("shadow/response", `${where}: version ${version ?? "is missing"}`);
  }
  return version;
}

/** Member of what is stored: the paths of local changes the cloud has not been told of. */
const localName = "_local";

/** What is in force, and the local changes that the cloud has not been told of, as stored, after `room` free bytes. */
export function encodeValues(values: FlatValues, local: readonly string[], room = 0): Uint8Array {
  const text = local.length > 0 ? { ...values, [localName]: local.join() } : values;
  return encodeJson(text, room);
}

/** Stored values that still fit the schema, defaults for the others. @throws AgentError "codec/json", "codec/utf8" */
export function parseValues(
  bytes: Uint8Array,
  leaves: Leaves,
): { readonly values: FlatValues; readonly local: readonly string[] } {
  const shape: Record<string, Shape> = { [localName]: "string" };
  for (const path of Object.keys(leaves)) shape[path] = "scalar";
  const stored = membersOf(bytes, shape, "settings") as Record<string, Member | undefined>;
  const values: Record<string, Value> = {};
  for (const path of Object.keys(leaves)) {
    const leaf = leaves[path]!;
    const value = stored[path] ?? unsupported;
    values[path] = faultOf(leaf, value) === undefined ? (value as Value) : leaf.default;
  }
  const names = ((stored[localName] as string | undefined) ?? "").split(",");
  return { values, local: names.filter(path => leaves[path]?.wins === "device") };
}
