// The reserved named shadow `$package` (developer guide "preparing-to-use-software-package-catalog"). Pure.

import { isObject, type Json } from "./json.js";

export const packageShadow = "$package";

/**
 * Whether a `state` with well-formed sections may be written there: packages under reported, each with
 * `version` and `attributes` only. Null removes as everywhere. Assumed: desired is not allowed.
 */
export function isPackageState(state: Json): boolean {
  if (!isObject(state)) return state === null;
  if (isObject(state.desired)) return false;
  return !isObject(state.reported) || Object.values(state.reported).every(isPackage);
}

function isPackage(value: Json): boolean {
  if (value === null) return true;
  if (!isObject(value)) return false;
  return Object.entries(value).every(([name, member]) => {
    if (name === "version") return member === null || typeof member === "string";
    return name === "attributes" && (member === null || isObject(member));
  });
}
