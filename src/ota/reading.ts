// What readers of documents and manifests share: one error for whatever is wrong, with what, where and which value.
import { readElements, readJson, type Scalar, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { fromBase64, toUtf8 } from "../util/bytes.js";

/** Characters of a value in a message. */
const toldCharacters = 40;

/** What is no JSON, or of the wrong types, is a wrong document. @throws AgentError "ota/document" */
export function asDocument<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof AgentError) || !cause.code.startsWith("codec/")) throw cause;
    throw new AgentError("ota/document", cause.message, { cause });
  }
}

/** @throws AgentError "ota/document" */
export function fail(reason: string): never {
  throw new AgentError("ota/document", reason);
}

/** A value in a message: what is long is cut, what could break a line is escaped. */
export function told(value: Scalar): string {
  if (typeof value !== "string") return String(value);
  let start = "";
  let left = toldCharacters;
  // By character, so that none is cut in half.
  for (const character of value) {
    if (left-- === 0) return `${writeJson(start)}…`;
    start += character;
  }
  return writeJson(start);
}

/** @throws AgentError "ota/document" */
export function present<Value>(value: Value | undefined, where: string): Value {
  return value === undefined ? fail(`${where} is missing`) : value;
}

/** @param value undefined is missing */
export function inRange(
  value: number | undefined,
  least: number,
  most: number,
  where: string,
): number {
  const number = present(value, where);
  if (!Number.isInteger(number) || number < least || number > most)
    fail(`${where} is ${number}, not ${least} to ${most}`);
  // Not -0.
  return number + 0;
}

/** @param value undefined is missing */
export function shortText(value: string | undefined, most: number, where: string): string {
  const text = present(value, where);
  if (text.length === 0 || text.length > most)
    fail(`${where} ${told(text)} is not 1 to ${most} characters`);
  return text;
}

/** Whether all is visible ASCII: no space, no control character. */
export function isVisible(text: string): boolean {
  for (const octet of toUtf8(text)) if (octet < 0x21 || octet > 0x7e) return false;
  return true;
}

/** @param value undefined is missing */
export function base64(value: string | undefined, most: number, where: string): Uint8Array {
  const text = present(value, where);
  // White space may stand in it, but not more of it than of anything else.
  const bytes = text.length > 2 * most ? undefined : fromBase64(text);
  if (bytes === undefined || bytes.length === 0 || bytes.length > most)
    fail(`${where} ${told(text)} is not base64 of 1 to ${most} bytes`);
  return bytes;
}

/** The texts in an array. @param array undefined is missing */
export function textsOf(
  array: Uint8Array | undefined,
  most: number,
  where: string,
): readonly string[] {
  return readElements(present(array, where), most, where).map((element, i) =>
    present(readJson(element, "string", `${where}[${i}]`), `${where}[${i}]`),
  );
}

/** @param text decimal digits @returns undefined when it is anything else, or longer than a size is */
export function fromDigits(text: string): number | undefined {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}

/** @param value undefined is missing */
export function imageSize(value: number | undefined, where: string): number {
  return inRange(value, 1, limits.imageBytes, where);
}
