// As much of HTTP/1.1 as a download takes: a link's parts, a request for a range, the head of a response. Knows no connection.
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { fromUtf8, toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import { quoted } from "./quoted.js";

/** Of an https link. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** With the query, as it is sent. Holds what only the owner of the link may know: never told. */
  readonly path: string;
}

/**
 * Absolute, https, without credentials; a fragment is left out.
 *
 * @throws AgentError "ota/source", which says what is wrong with it, and nothing of the path
 */
export function parseUrl(text: string): Place {
  if (text.length > limits.urlCharacters)
    throw wrong(`a link of ${text.length} characters, at most ${limits.urlCharacters}`);
  const bytes = toUtf8(text);
  for (const byte of bytes)
    if (byte <= 0x20 || byte >= 0x7f)
      throw wrong("a link with white space, control or other characters");
  if (fromUtf8(bytes.subarray(0, 8)).toLowerCase() !== "https://")
    throw wrong("a link that is not https");
  let at = 8;
  let portAt = 0;
  for (; at < bytes.length && !isAny(bytes[at]!, "/?#"); at++) {
    if (bytes[at] === 0x3a && portAt === 0) portAt = at + 1;
    else if (portAt > 0 ? !isDigit(bytes[at]!) : !isHostCharacter(bytes[at]!))
      throw wrong("a link with credentials, or to no host by name");
  }
  const host = fromUtf8(bytes, 8, portAt > 0 ? portAt - 1 : at);
  const port = portAt > 0 ? Number(fromUtf8(bytes, portAt, at)) : 443;
  if (host.length === 0 || host.length > 253) throw wrong("a link without a host");
  if ((portAt > 0 && at - portAt > 5) || port < 1 || port > 65_535)
    throw wrong("a link with no port");
  return { host, port, path: pathOf(bytes, at) };
}

/** @param location  absolute, or a path on the same server. @throws as `parseUrl` */
export function redirected(from: Place, location: string): Place {
  const bytes = toUtf8(location.length > limits.urlCharacters ? "" : location);
  if (bytes[0] !== 0x2f || bytes[1] === 0x2f) return parseUrl(location);
  const { host, port } = from;
  for (const byte of bytes)
    if (byte <= 0x20 || byte >= 0x7f)
      throw wrong("a redirect with white space or control characters");
  return { host, port, path: pathOf(bytes, 0) };
}

function pathOf(bytes: Uint8Array, at: number): string {
  let end = at;
  while (end < bytes.length && bytes[end] !== 0x23) end++;
  const path = fromUtf8(bytes, at, end);
  return bytes[at] === 0x2f ? path : `/${path}`;
}

function isAny(byte: number, characters: string): boolean {
  for (const character of characters) if (character.codePointAt(0) === byte) return true;
  return false;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHostCharacter(byte: number): boolean {
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x7a) || byte === 0x2d || byte === 0x2e;
}

/** @param first,last  of the bytes, both included */
export function encodeRequest(
  { host, port, path }: Place,
  first: number,
  last: number,
): Uint8Array {
  const name = port === 443 ? host : `${host}:${port}`;
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${name}`,
    `Range: bytes=${first}-${last}`,
    "Accept-Encoding: identity",
    "User-Agent: skerry",
    "",
    "",
  ];
  return toUtf8(lines.join("\r\n"));
}

export interface ContentRange {
  /** Both included. */
  readonly first: number;
  readonly last: number;
  readonly total: number;
}

/** What counts of a response's head. */
export interface ResponseHead {
  readonly status: number;
  /** Bytes of the body; absent where the server does not say, or sends it in chunks. */
  readonly length: number | undefined;
  readonly range: ContentRange | undefined;
  /** Media type, quoted. */
  readonly type: string;
  readonly location: string | undefined;
  /** The body is not the bytes themselves: chunked, or compressed. */
  readonly isCoded: boolean;
  /** Nothing follows this response. */
  readonly isLast: boolean;
}

/** Fields that are read; each may come once. */
const known: readonly string[] = deepFreeze([
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "location",
  "transfer-encoding",
]);

/** Reads one head, in whatever pieces it comes; those of interim responses are passed over. */
export class HeadReader {
  #line = new Uint8Array(128);
  #length = 0;
  #total = 0;
  #status = 0;
  #isOld = false;
  #fields: (string | undefined)[] = [];

  /**
   * @returns the head and how many of the bytes it took, or undefined: it took all, and there is more of it to come
   * @throws AgentError "ota/source" for what is no head, or too long
   */
  push(bytes: Uint8Array): { readonly head: ResponseHead; readonly taken: number } | undefined {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (++this.#total > limits.headBytes)
        throw wrong(`a head of more than ${limits.headBytes} bytes`);
      if (byte !== 0x0a) {
        this.put(byte);
        continue;
      }
      if (this.#length === 0 || this.#line[--this.#length] !== 0x0d)
        throw wrong("a line of a head without its end");
      const isOver = this.#length === 0 && this.#status > 0;
      if (!isOver) this.onLine(fromUtf8(this.#line, 0, this.#length));
      else if (this.#status >= 200) return { head: this.head(), taken: at + 1 };
      else this.#status = 0;
      this.#length = 0;
    }
    return undefined;
  }

  /** Printable ASCII and tabs; other bytes are of no interest, and stand for themselves no more. */
  private put(byte: number): void {
    const isEnd = byte === 0x0d;
    if (byte < 0x20 && byte !== 9 && !isEnd) throw wrong("a head with control characters");
    if (this.#length > 0 && this.#line[this.#length - 1] === 0x0d)
      throw wrong("a head with control characters");
    if (this.#length === this.#line.length) {
      const longer = new Uint8Array(this.#length * 2);
      longer.set(this.#line);
      this.#line = longer;
    }
    this.#line[this.#length++] = byte > 0x7e ? 0x3f : byte;
  }

  private onLine(line: string): void {
    if (this.#status === 0) {
      const found = /^HTTP\/1\.([01]) ([1-9][0-9][0-9])( |$)/.exec(line);
      if (!found) throw wrong(`no HTTP/1.1: ${quoted(line)}`);
      this.#isOld = found[1] === "0";
      this.#status = Number(found[2]);
      this.#fields = known.map(() => undefined);
      return;
    }
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (colon <= 0 || name.includes(" ") || name.includes("\t"))
      throw wrong(`a head with the line ${quoted(line)}`);
    const at = known.indexOf(name);
    if (at < 0) return;
    if (this.#fields[at] !== undefined) throw wrong(`a head with ${name} twice`);
    this.#fields[at] = line.slice(colon + 1).trim();
  }

  private head(): ResponseHead {
    const [connection = "", encoding = "identity", length, range, type, location, transfer] =
      this.#fields;
    const isLast = this.#isOld || connection.toLowerCase().includes("close");
    return {
      status: this.#status,
      length: length === undefined ? undefined : countOf(length, "Content-Length"),
      range: range === undefined ? undefined : rangeOf(range),
      type: quoted(type ?? "of no type"),
      location,
      isCoded: encoding.toLowerCase() !== "identity" || transfer !== undefined,
      isLast,
    };
  }
}

function countOf(text: string, what: string): number {
  const isCount = text.length > 0 && text.length <= 15 && !/[^0-9]/.test(text);
  if (!isCount) throw wrong(`${what} ${quoted(text)}`);
  return Number(text);
}

/** @returns undefined for one that says no length, or no range */
function rangeOf(text: string): ContentRange | undefined {
  const found = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})$/.exec(text);
  if (!found) return undefined;
  const [, first, last, total] = found;
  return { first: Number(first), last: Number(last), total: Number(total) };
}

function wrong(what: string): AgentError {
  return new AgentError("ota/source", `https: ${what}`);
}
