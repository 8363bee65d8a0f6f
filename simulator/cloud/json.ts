// JSON from devices: depth is judged on the bytes before anything is parsed, and parsed objects have no prototype.

export type Json = null | boolean | number | string | Json[] | JsonObject;
/** Made without a prototype wherever this folder makes one, so that `__proto__` is a name like any other. */
export interface JsonObject {
  [name: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function newObject(): JsonObject {
  return Object.create(null) as JsonObject;
}

export type JsonFault = "not-utf-8" | "not-json" | "too-deep";
export type JsonResult =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly fault: JsonFault };

const quote = 0x22;
const backslash = 0x5c;

/** Deepest nesting of brackets outside strings; stops counting at `limit + 1`. */
export function nesting(bytes: Uint8Array, limit: number): number {
  let depth = 0;
  let deepest = 0;
  let isString = false;
  for (let index = 0; index < bytes.length && deepest <= limit; index++) {
    const byte = bytes[index];
    if (isString) {
      if (byte === backslash) index++;
      else if (byte === quote) isString = false;
    } else if (byte === quote) {
      isString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      deepest = Math.max(deepest, ++depth);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return deepest;
}

/** Never throws, whatever the bytes. Of a name given twice the last counts, as in AWS's own parser (assumed). */
export function parseJson(bytes: Uint8Array, depthLimit: number): JsonResult {
  if (nesting(bytes, depthLimit) > depthLimit) return { ok: false, fault: "too-deep" };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { ok: false, fault: "not-utf-8" };
  }
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return { ok: false, fault: "not-json" };
  }
  if (!isKeepable(value)) return { ok: false, fault: "not-json" };
  return { ok: true, value: withoutPrototypes(value) };
}

const loneSurrogate = /\p{Surrogate}/u;

/** Assumed: what cannot be said again counts as no JSON: 1e400, and text that has no UTF-8 form. */
function isKeepable(value: Json): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "string") return !loneSurrogate.test(value);
  if (Array.isArray(value)) return value.every(isKeepable);
  if (!isObject(value)) return true;
  return Object.entries(value).every(([name, member]) => isKeepable(name) && isKeepable(member));
}

/** A deep copy; the depth was checked before. */
export function withoutPrototypes(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutPrototypes);
  if (!isObject(value)) return value;
  const copy = newObject();
  for (const [name, member] of Object.entries(value)) copy[name] = withoutPrototypes(member);
  return copy;
}
