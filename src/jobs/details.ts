// Status details within the service's bounds (AWS IoT quotas, "JobExecution statusDetails"), whatever a handler says.
import { limits } from "../limits.js";
import type { StatusDetails } from "./job.js";

/**
 * Names the service would refuse and empty texts are left out, texts are cut.
 *
 * @param reason the first, as `reason`
 */
export function boundedDetails(
  details: StatusDetails = {},
  reason?: string,
): ReadonlyMap<string, string> {
  const bounded = new Map<string, string>();
  let room: number = limits.jobDetailsBytes;
  const add = (name: string, value: unknown) => {
    if (bounded.size >= limits.jobDetails || bounded.has(name) || !isName(name)) return;
    const text = cut(String(value), Math.min(limits.jobDetailCharacters, room - name.length - 8));
    if (text.length === 0) return;
    room -= name.length + 8 + bytesOf(text);
    bounded.set(name, text);
  };
  if (reason !== undefined) add("reason", reason);
  for (const name of Object.keys(details)) add(name, details[name]);
  return bounded;
}

function isName(name: string): boolean {
  return name.length <= 128 && /^[a-zA-Z0-9:_-]{1,128}$/.test(name);
}

/** @param most bytes as JSON, and no more characters */
function cut(text: string, most: number): string {
  const parts: string[] = [];
  let room = most;
  for (const character of text) {
    const shown = shownAs(character);
    room -= bytesOf(shown);
    if (room < 0) break;
    parts.push(shown);
  }
  return parts.join("");
}

/** As the service has it, `[^\p{C}]`: no control and format characters, no private ones, no half of a pair. */
function shownAs(character: string): string {
  const point = character.codePointAt(0)!;
  if (point < 0x20 || (point >= 0x7f && point < 0xa0)) return " ";
  const isFormat =
    point === 0xad ||
    (point >= 0x200b && point <= 0x200f) ||
    (point >= 0x202a && point <= 0x202e) ||
    (point >= 0x2060 && point <= 0x206f) ||
    point === 0xfeff ||
    (point >= 0xfff0 && point <= 0xfffb) ||
    point >= 0xe0000;
  return isFormat || (point >= 0xd800 && point <= 0xf8ff) ? "\ufffd" : character;
}

function bytesOf(text: string): number {
  let byteLength = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (point === 34 || point === 92) byteLength += 2;
    else byteLength += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return byteLength;
}
