// How a shadow changes: merge, metadata, delta. Pure; knows no topics and no requests.

import { isObject, type Json, type JsonObject, newObject } from "./json.js";

export type SectionName = "desired" | "reported";

/** `desired` or `reported` with its timestamps; a section is never empty. */
export interface Section {
  readonly state: JsonObject;
  readonly metadata: JsonObject;
}

export type Sections = { readonly [K in SectionName]?: Section };

export interface Shadow {
  readonly version: number;
  readonly sections: Sections;
}

/** A section: absent leaves it, null removes it. The whole: null removes both. */
export type StatePatch = { readonly [K in SectionName]?: JsonObject | null } | null;

/** Depth in levels of objects and arrays, the value itself included; scalars count nothing. */
export function depthOf(value: Json | undefined): number {
  if (value === undefined || value === null || typeof value !== "object") return 0;
  let deepest = 0;
  for (const member of Object.values(value)) deepest = Math.max(deepest, depthOf(member));
  return deepest + 1;
}

/** True when an array anywhere inside holds null: such an update is refused. */
export function hasNullInArray(value: Json): boolean {
  if (Array.isArray(value)) return value.some(each => each === null || hasNullInArray(each));
  return isObject(value) && Object.values(value).some(hasNullInArray);
}

/** Bytes that count against the quota: desired and reported as written, metadata is free. */
export function sizeOf(sections: Sections): number {
  const states = [sections.desired?.state, sections.reported?.state];
  return states.reduce(
    (sum, state) => sum + (state === undefined ? 0 : Buffer.byteLength(JSON.stringify(state))),
    0,
  );
}

/** @param timestamp epoch seconds that every member named in the patch gets, changed or not */
export function mergeState(sections: Sections, patch: StatePatch, timestamp: number): Sections {
  if (patch === null) return {};
  const desired = mergeSection(sections.desired, patch.desired, timestamp);
  const reported = mergeSection(sections.reported, patch.reported, timestamp);
  return {
    ...(desired === undefined ? {} : { desired }),
    ...(reported === undefined ? {} : { reported }),
  };
}

function mergeSection(
  section: Section | undefined,
  patch: JsonObject | null | undefined,
  timestamp: number,
): Section | undefined {
  if (patch === undefined) return section;
  if (patch === null) return undefined;
  const merged = mergeObject(section?.state, section?.metadata, patch, timestamp);
  return Object.keys(merged.state).length === 0 ? undefined : merged;
}

function mergeObject(
  state: JsonObject | undefined,
  metadata: JsonObject | undefined,
  patch: JsonObject,
  timestamp: number,
): Section {
  const merged = { state: copy(state), metadata: copy(metadata) };
  for (const [name, value] of Object.entries(patch)) {
    const found = state !== undefined && Object.hasOwn(state, name) ? state[name] : undefined;
    const kept = mergeValue(found, metadata?.[name], value, timestamp);
    if (kept === undefined) {
      delete merged.state[name];
      delete merged.metadata[name];
    } else {
      merged.state[name] = kept.state;
      merged.metadata[name] = kept.metadata;
    }
  }
  return merged;
}

/** @returns undefined when nothing is left to store */
function mergeValue(
  state: Json | undefined,
  metadata: Json | undefined,
  value: Json,
  timestamp: number,
): { state: Json; metadata: Json } | undefined {
  if (value === null) return undefined;
  if (isObject(value) && isObject(state)) {
    return mergeObject(state, isObject(metadata) ? metadata : undefined, value, timestamp);
  }
  const stored = withoutNulls(value);
  return stored === undefined ? undefined : { state: stored, metadata: stampOf(stored, timestamp) };
}

function copy(from: JsonObject | undefined): JsonObject {
  return Object.assign(newObject(), from);
}

/** Null members go at every depth; an object that held nothing else goes with them, an empty one stays. */
function withoutNulls(value: Json): Json | undefined {
  if (Array.isArray(value)) return value.map(each => withoutNulls(each) ?? newObject());
  if (!isObject(value)) return value;
  const entries = Object.entries(value);
  const kept = newObject();
  for (const [name, member] of entries) {
    const stored = member === null ? undefined : withoutNulls(member);
    if (stored !== undefined) kept[name] = stored;
  }
  return entries.length > 0 && Object.keys(kept).length === 0 ? undefined : kept;
}

/** The metadata of a value: its shape with `{timestamp}` at every leaf, array elements included. */
export function stampOf(value: Json, timestamp: number): Json {
  if (Array.isArray(value)) return value.map(each => stampOf(each, timestamp));
  const stamp = newObject();
  if (!isObject(value)) {
    stamp.timestamp = timestamp;
    return stamp;
  }
  for (const [name, member] of Object.entries(value)) stamp[name] = stampOf(member, timestamp);
  return stamp;
}

/** Equal as values: numbers by value, objects whatever their order, arrays element by element. */
export function isSame(one: Json | undefined, other: Json | undefined): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => isSame(each, other[index]));
  }
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every(name => Object.hasOwn(other, name) && isSame(one[name], other[name]));
}

/** What desired wants and reported does not show, with the desired timestamps; undefined when nothing. */
export function deltaOf(sections: Sections): Section | undefined {
  if (sections.desired === undefined) return undefined;
  const delta = newObject();
  const metadata = newObject();
  compare(sections.desired, sections.reported?.state ?? newObject(), { state: delta, metadata });
  return Object.keys(delta).length === 0 ? undefined : { state: delta, metadata };
}

function compare(desired: Section, reported: JsonObject, into: Section): void {
  for (const [name, wanted] of Object.entries(desired.state)) {
    const found = Object.hasOwn(reported, name) ? reported[name] : undefined;
    const stamp = desired.metadata[name] ?? newObject();
    if (isObject(wanted) && isObject(found)) {
      const inner = { state: newObject(), metadata: newObject() };
      compare({ state: wanted, metadata: isObject(stamp) ? stamp : newObject() }, found, inner);
      if (Object.keys(inner.state).length === 0) continue;
      into.state[name] = inner.state;
      into.metadata[name] = inner.metadata;
    } else if (!isSame(wanted, found)) {
      into.state[name] = wanted;
      into.metadata[name] = stamp;
    }
  }
}
