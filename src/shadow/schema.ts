// Typed settings: what a product declares, and how a value from outside is judged against it.
import type { Scalar } from "../codec/json.js";
import { unsupported } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";

interface Common {
  /**
   * Who wins when the product has set a value itself and the cloud wants another one: the cloud (default), or the device, which
   * then writes what the cloud is to want.
   */
  readonly wins?: "cloud" | "device";
}

/** One value. */
export type Leaf = Common &
  (
    | {
        readonly type: "integer" | "number";
        readonly min?: number;
        readonly max?: number;
        readonly default: number;
      }
    | { readonly type: "boolean"; readonly default: boolean }
    /** `maxLength` in code points, default 64. */
    | { readonly type: "string"; readonly maxLength?: number; readonly default: string }
    | { readonly type: "enum"; readonly values: readonly string[]; readonly default: string }
  );

/** An object of its own in the shadow. */
export interface Group {
  readonly type: "group";
  readonly members: Schema;
}

export type Setting = Leaf | Group;

export type Schema = { readonly [name: string]: Setting };

export type Value = string | number | boolean;

type Widened<S extends Setting> = S extends {
  readonly type: "group";
  readonly members: infer M extends Schema;
}
  ? Values<M>
  : S extends { readonly type: "enum"; readonly values: readonly (infer V)[] }
    ? V
    : S extends { readonly type: "boolean" }
      ? boolean
      : S extends { readonly type: "string" }
        ? string
        : number;

/** The values a schema describes, with their TypeScript types; groups are objects. */
export type Values<S extends Schema = Schema> = { readonly [K in keyof S]: Widened<S[K]> };

/** Some of the values, also of a group. */
export type Changes<S extends Schema = Schema> = {
  readonly [K in keyof S]?: S[K] extends {
    readonly type: "group";
    readonly members: infer M extends Schema;
  }
    ? Changes<M>
    : Widened<S[K]>;
};

/** By path: `name`, or `group.name`. */
export type Leaves = { readonly [path: string]: Leaf };
export type FlatValues = { readonly [path: string]: Value };

/** What `faultOf` is asked about: a member as read. */
export type Member = Scalar | typeof unsupported;

const maxDepth = 4;

/**
 * @returns the leaves by their paths
 * @throws AgentError "agent/options" for a name or a default that cannot be
 */
export function leavesOf(schema: Schema): Leaves {
  const leaves: Record<string, Leaf> = {};
  collect(schema, "", 1, leaves);
  const { length } = Object.keys(leaves);
  if (length > limits.names) fail(`${length} names, at most ${limits.names} are taken`);
  const defaults = defaultsOf(leaves);
  const fault = faultOfSize(defaults);
  if (fault) fail(`the defaults ${fault}`);
  // The product keeps its schema: without groups one of them is enough.
  return Object.keys(schema).every(name => schema[name]!.type !== "group")
    ? (schema as Leaves)
    : leaves;
}

function collect(schema: Schema, prefix: string, depth: number, into: Record<string, Leaf>): void {
  if (depth > maxDepth) fail(`"${prefix}" is in more than ${maxDepth - 1} groups`);
  for (const name of Object.keys(schema)) {
    const path = prefix + name;
    if (!/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/.test(name) || name in {})
      fail(`"${path}" cannot be a name`);
    const setting = schema[name]!;
    if (setting.type === "group") {
      collect(setting.members, `${path}.`, depth + 1, into);
      continue;
    }
    const fault = faultOf(setting, setting.default);
    if (fault) fail(`"${path}": default is ${fault}`);
    into[path] = setting;
  }
}

function fail(reason: string): never {
  throw new AgentError("agent/options", `settings: ${reason}`);
}

export function defaultsOf(leaves: Leaves): FlatValues {
  const values: Record<string, Value> = {};
  for (const path of Object.keys(leaves)) values[path] = leaves[path]!.default;
  return values;
}

/** @returns the verdict and what is wrong with `value`, or undefined when it may be used */
export function faultOf(leaf: Leaf, value: Member): string | undefined {
  switch (leaf.type) {
    case "boolean":
      return typeof value === "boolean" ? undefined : wrong(value, "a boolean");
    case "enum":
      if (typeof value !== "string") return wrong(value, "a string");
      return leaf.values.includes(value)
        ? undefined
        : `out of range: ${show(value)} is not one of ${leaf.values.join(", ")}`;
    case "string":
      return typeof value === "string"
        ? faultOfText(value, leaf.maxLength ?? 64)
        : wrong(value, "a string");
    default:
      return faultOfNumber(leaf, value);
  }
}

function wrong(value: Member, wanted: string): string {
  return `wrong type: ${show(value)} is not ${wanted}`;
}

function faultOfText(value: string, most: number): string | undefined {
  let length = 0;
  for (const character of value) {
    const point = character.codePointAt(0)!;
    if (point >= 0xd800 && point <= 0xdfff) return "wrong type: has an unpaired surrogate";
    length++;
  }
  return length > most
    ? `out of range: ${length} characters, at most ${most} are taken`
    : undefined;
}

function faultOfNumber(
  leaf: Leaf & { type: "integer" | "number" },
  value: Member,
): string | undefined {
  const wanted = leaf.type === "integer" ? "an integer" : "a number";
  if (typeof value !== "number" || !Number.isFinite(value)) return wrong(value, wanted);
  if (leaf.type === "integer" && !Number.isSafeInteger(value)) return wrong(value, wanted);
  const { min, max } = leaf;
  if (min !== undefined && value < min) return `out of range: ${value} is below ${min}`;
  if (max !== undefined && value > max) return `out of range: ${value} is above ${max}`;
  return undefined;
}

/** A value in a verdict, short. */
function show(value: Member): string {
  if (value === unsupported) return "this";
  if (typeof value !== "string") return String(value);
  const points = Array.from(value.slice(0, 64));
  return `"${points.slice(0, 24).join("")}${points.length > 24 ? "…" : ""}"`;
}

/** @returns what is wrong with so many values at once, or undefined when they can be kept */
export function faultOfSize(values: FlatValues): string | undefined {
  let byteLength = 2;
  for (const path of Object.keys(values)) {
    const value = values[path]!;
    // As JSON, at worst: of a text four bytes for a character, six for what is escaped.
    byteLength +=
      path.length + 4 + (typeof value === "string" ? textBytes(value) : String(value).length);
  }
  return byteLength > limits.settingsBytes
    ? `would take ${byteLength} bytes, at most ${limits.settingsBytes} are kept`
    : undefined;
}

function textBytes(text: string): number {
  let byteLength = 2;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32) byteLength += 6;
    else if (code === 34 || code === 92) byteLength += 2;
    else byteLength += code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
  }
  return byteLength;
}

type Nested = { [name: string]: Value | Nested };

/** The values as the product and the shadow have them: `{"group.name": 1}` is `{group: {name: 1}}`. */
export function nest(flat: FlatValues): Nested {
  const result: Nested = {};
  for (const path of Object.keys(flat)) {
    const names = path.split(".");
    const last = names.pop()!;
    let at = result;
    for (const name of names) {
      at[name] ??= {};
      at = at[name] as Nested;
    }
    at[last] = flat[path]!;
  }
  return result;
}

/** @throws AgentError "agent/options" for what is not declared or may not be */
export function flatten(leaves: Leaves, changes: object): FlatValues {
  const flat: Record<string, Value> = {};
  flattenInto(leaves, changes, "", 1, flat);
  return flat;
}

function flattenInto(
  leaves: Leaves,
  changes: object,
  prefix: string,
  depth: number,
  into: Record<string, Value>,
): void {
  for (const name of Object.keys(changes)) {
    const path = prefix + name;
    const value = (changes as { readonly [name: string]: unknown })[name];
    const leaf = Object.hasOwn(leaves, path) ? leaves[path] : undefined;
    if (leaf) {
      const fault = faultOf(leaf, value as Member);
      if (fault) fail(`${path} is ${fault}`);
      into[path] = value as Value;
    } else if (typeof value === "object" && value !== null && depth < maxDepth) {
      flattenInto(leaves, value, `${path}.`, depth + 1, into);
    } else fail(`${path} is not declared`);
  }
}
