// Typed settings: what a product declares, and how a value from outside is judged against it.
import type { Scalar, Shape } from "../codec/json.js";
import { unsupported } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";

export type Setting =
  | {
      readonly type: "integer" | "number";
      readonly min?: number;
      readonly max?: number;
      readonly default: number;
    }
  | { readonly type: "boolean"; readonly default: boolean }
  /** `maxLength` in code points, default 64. */
  | { readonly type: "string"; readonly maxLength?: number; readonly default: string }
  | { readonly type: "enum"; readonly values: readonly string[]; readonly default: string };

export type Schema = { readonly [name: string]: Setting };

export type Value = string | number | boolean;

type Widened<S extends Setting> = S extends {
  readonly type: "enum";
  readonly values: readonly (infer V)[];
}
  ? V
  : S["type"] extends "boolean"
    ? boolean
    : S["type"] extends "string"
      ? string
      : number;

/** The values a schema describes, with their TypeScript types. */
export type Values<S extends Schema = Schema> = { readonly [K in keyof S]: Widened<S[K]> };

/** @returns what is wrong with `value`, or undefined when it may be used */
export function faultOf(setting: Setting, value: Scalar | typeof unsupported): string | undefined {
  if (value === unsupported) return `is not a ${setting.type}`;
  switch (setting.type) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "is not a boolean";
    case "enum":
      return setting.values.some(known => known === value)
        ? undefined
        : `is not one of ${setting.values.join(", ")}`;
    case "string": {
      if (typeof value !== "string") return "is not a string";
      const most = setting.maxLength ?? 64;
      const points = [...value];
      const { length } = points;
      if (points.some(isUnpaired)) return "has an unpaired surrogate";
      return length > most ? `has ${length} characters, at most ${most} are taken` : undefined;
    }
    default:
      return faultOfNumber(setting, value);
  }
}

function isUnpaired(character: string): boolean {
  const point = character.codePointAt(0)!;
  return point >= 0xd800 && point <= 0xdfff;
}

function faultOfNumber(
  setting: Setting & { type: "integer" | "number" },
  value: Scalar,
): string | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return "is not a number";
  if (setting.type === "integer" && !Number.isSafeInteger(value)) return "is not an integer";
  if (setting.min !== undefined && value < setting.min) return `is below ${setting.min}`;
  if (setting.max !== undefined && value > setting.max) return `is above ${setting.max}`;
  return undefined;
}

/** @throws AgentError "agent/options" for a name or a default that cannot be */
export function checkSchema(schema: Schema): void {
  const names = Object.keys(schema);
  if (names.length > limits.names) {
    throw new AgentError(
      "agent/options",
      `settings: ${names.length} names, at most ${limits.names} are taken`,
    );
  }
  for (const name of names) {
    if (!/^[a-zA-Z][a-zA-Z0-9_]{0,63}$/.test(name) || name in {}) {
      throw new AgentError("agent/options", `settings: "${name}" cannot be a name`);
    }
    const fault = faultOf(schema[name]!, schema[name]!.default);
    if (fault) throw new AgentError("agent/options", `settings.${name}: default ${fault}`);
  }
}

/** The reader's shape for an object with these names, each of any scalar type: a wrong one is judged, not refused. */
export function shapeOf(schema: Schema): { readonly [name: string]: Shape } {
  const shape: Record<string, Shape> = {};
  for (const name of Object.keys(schema)) shape[name] = "scalar";
  return shape;
}
