// What a server says, fit to be told on: one line, not long.
import { limits } from "../limits.js";

/** What is not printable ASCII becomes a question mark; what is long is cut. */
export function quoted(text: string): string {
  let result = "";
  let length = 0;
  for (const character of text) {
    if (++length > limits.quotedCharacters) return `${result}…`;
    const point = character.codePointAt(0)!;
    result += point >= 0x20 && point <= 0x7e ? character : "?";
  }
  return result;
}
