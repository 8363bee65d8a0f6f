// The shadow service on one page, written from the documents of AWS alone: what the device is judged against. It shares no line
// with src or the simulator, so that one cannot hide the other's mistake.

export type Json = string | number | boolean | null | readonly Json[] | Tree;
export type Tree = { readonly [name: string]: Json };

export interface Cloud {
  /** Undefined where there is no shadow. */
  readonly sections: { readonly desired?: Tree; readonly reported?: Tree } | undefined;
  readonly version: number;
}

export interface Message {
  /** What follows the shadow's own part of the topic. */
  readonly suffix: string;
  readonly body: Tree;
}

export type Answer = { readonly cloud: Cloud; readonly messages: readonly Message[] };

export const noShadow: Cloud = { sections: undefined, version: 0 };

export function isTree(value: Json | undefined): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Null members remove; objects are merged, everything else is replaced. */
function merged(stored: Json | undefined, news: Tree): Tree {
  const result: Record<string, Json> = isTree(stored) ? { ...stored } : {};
  for (const [name, value] of Object.entries(news)) {
    if (value === null) delete result[name];
    else if (!isTree(value)) result[name] = value;
    else {
      const inner = merged(result[name], value);
      // Nothing is made of a new object that holds nulls alone.
      const isHollow = Object.keys(inner).length === 0 && Object.keys(value).length > 0;
      if (!isHollow || isTree(result[name])) result[name] = inner;
    }
  }
  return result;
}

function isSame(one: Json, other: Json): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What is desired and not reported so. */
export function differenceOf(desired: Tree, reported: Tree): Tree {
  const result: Record<string, Json> = {};
  for (const [name, value] of Object.entries(desired)) {
    const has = reported[name];
    if (has === undefined) result[name] = value;
    else if (isTree(value) && isTree(has)) {
      const inner = differenceOf(value, has);
      if (Object.keys(inner).length > 0) result[name] = inner;
    } else if (!isSame(value, has)) result[name] = value;
  }
  return result;
}

function rejected(cloud: Cloud, on: "get" | "update", code: number, token: Json): Answer {
  const body = { code, message: "no", ...(token === undefined ? {} : { clientToken: token }) };
  return { cloud, messages: [{ suffix: `${on}/rejected`, body }] };
}

export function refusal(cloud: Cloud, on: "get" | "update", code: number, request: Tree): Answer {
  return rejected(cloud, on, code, request["clientToken"]!);
}

/** An update by anybody: who it was shows in the token alone. */
export function update(cloud: Cloud, request: Tree): Answer {
  const { state, version, clientToken } = request;
  if (version !== undefined) {
    if (!cloud.sections && version !== 1) return rejected(cloud, "update", 400, clientToken!);
    if (cloud.sections && version !== cloud.version)
      return rejected(cloud, "update", 409, clientToken!);
  }
  const sections: Record<string, Tree> = {};
  for (const name of ["desired", "reported"] as const) {
    const before = cloud.sections?.[name];
    const news = isTree(state!) ? state[name] : null;
    const after = news === undefined ? before : isTree(news) ? merged(before, news) : undefined;
    if (after && Object.keys(after).length > 0) sections[name] = after;
  }
  const next = { sections, version: cloud.version + 1 };
  const token = clientToken === undefined ? {} : { clientToken };
  const common = { version: next.version, ...token };
  const delta = differenceOf(sections["desired"] ?? {}, sections["reported"] ?? {});
  const messages: Message[] = [{ suffix: "update/accepted", body: { state: state!, ...common } }];
  if (Object.keys(delta).length > 0)
    messages.unshift({ suffix: "update/delta", body: { state: delta, ...common } });
  return { cloud: next, messages };
}

export function get(cloud: Cloud, request: Tree): Answer {
  const { clientToken } = request;
  if (!cloud.sections) return rejected(cloud, "get", 404, clientToken!);
  const { desired = {}, reported = {} } = cloud.sections;
  const delta = differenceOf(desired, reported);
  const state: Record<string, Tree> = {};
  if (cloud.sections.desired) state["desired"] = desired;
  if (cloud.sections.reported) state["reported"] = reported;
  if (Object.keys(delta).length > 0) state["delta"] = delta;
  const body = { state, version: cloud.version, clientToken: clientToken! };
  return { cloud, messages: [{ suffix: "get/accepted", body }] };
}

/** @param isForgotten two days pass: versions begin again */
export function remove(cloud: Cloud, isForgotten: boolean): Answer {
  const body = { version: cloud.version };
  const next = { sections: undefined, version: isForgotten ? 0 : cloud.version };
  return { cloud: next, messages: [{ suffix: "delete/accepted", body }] };
}
