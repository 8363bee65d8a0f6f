// Versions of firmware: semantic versions (semver.org, 2.0.0) and their order, and the 32 bits that FreeRTOS makes of them.
import { limits } from "../limits.js";

/** Numbers as decimal digits without leading zeros: they may be larger than a double can tell. */
export interface Version {
  /** Major, minor, patch. */
  readonly core: readonly string[];
  /** Empty for a release. */
  readonly preRelease: readonly string[];
}

/** @returns undefined when `text` is no semantic version of at most `limits.nameBytes` characters */
export function parseVersion(text: string): Version | undefined {
  if (text.length > limits.nameBytes) return undefined;
  const [whole, build] = splitAt(text, "+");
  if (build !== undefined && !build.split(".").every(isIdentifier)) return undefined;
  const [front, back] = splitAt(whole, "-");
  const core = front.split(".");
  if (core.length !== 3 || !core.every(isNumber)) return undefined;
  const preRelease = back === undefined ? [] : back.split(".");
  if (!preRelease.every(isPreRelease)) return undefined;
  return { core, preRelease };
}

/** At the first `mark`. */
function splitAt(text: string, mark: string): [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function isIdentifier(text: string): boolean {
  return /^[0-9A-Za-z-]{1,64}$/.test(text);
}

function isDigits(text: string): boolean {
  return /^[0-9]{1,64}$/.test(text);
}

function isNumber(text: string): boolean {
  return isDigits(text) && (text === "0" || !text.startsWith("0"));
}

function isPreRelease(text: string): boolean {
  return isDigits(text) ? isNumber(text) : isIdentifier(text);
}

/**
 * By precedence: what follows "+" does not count.
 *
 * @returns below 0 when `a` is older, 0 when neither is, above 0 when `a` is newer; undefined when one of them is no semantic version
 * @see     semver.org, 11
 */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined) return undefined;
  return compareLists(left.core, right.core) || comparePreReleases(left, right);
}

function comparePreReleases({ preRelease: a }: Version, { preRelease: b }: Version): number {
  // A release is newer than all that came before it.
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  return compareLists(a, b);
}

/** By the first difference; of two lists that begin alike the longer one is newer. */
function compareLists(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareIdentifiers(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareIdentifiers(a: string, b: string): number {
  const [isNumberA, isNumberB] = [isDigits(a), isDigits(b)];
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  // Without leading zeros the longer number is the larger one.
  if (isNumberA && a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

/**
 * Major << 24 | minor << 16 | patch, as FreeRTOS reports versions. Pre-release and build are not told by it.
 *
 * @returns 0 to 2 ** 32 - 1; undefined when `text` is no semantic version or a number of it does not fit (255, 255, 65535)
 */
export function toAfrVersion(text: string): number | undefined {
  const core = parseVersion(text)?.core;
  if (core === undefined) return undefined;
  const [major, minor, patch] = core.map(Number) as [number, number, number];
  if (major > 255 || minor > 255 || patch > 65_535) return undefined;
  return major * 2 ** 24 + minor * 2 ** 16 + patch;
}

/** "0x" and eight hexadecimal digits, as in `updatedBy`. */
export function printAfrVersion(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}

/** @returns undefined when `text` is not what `printAfrVersion` makes; letters may be of either case */
export function readAfrVersion(text: string): number | undefined {
  return /^0x[0-9a-fA-F]{8}$/.test(text) ? Number(text) : undefined;
}
