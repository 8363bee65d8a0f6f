// What a device may ask of a stream, checked in the order of its members ("mqtt-based-file-delivery-in-devices"). Pure.

import { encodeCbor, parseCborWithBytes } from "./cbor.js";
import { parseJson } from "./json.js";
import { streamLimits } from "./limits.js";

export type StreamFormat = "json" | "cbor";
export type StreamOperation = "describe" | "get";

export type StreamErrorCode =
  | "InvalidTopic"
  | "InvalidJson"
  | "InvalidCbor"
  | "InvalidRequest"
  | "Unauthorized"
  | "BlockSizeOutOfBounds"
  | "OffsetOutOfBounds"
  | "BlockCountLimitExceeded"
  | "BlockBitmapLimitExceeded"
  | "ResourceNotFound"
  | "VersionMismatch"
  | "ETagMismatch"
  | "InternalError";

/** Goes to the device as it is; only the text for BlockSizeOutOfBounds is AWS's own, the others are assumed (5.6). */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: StreamErrorCode;

  constructor(code: StreamErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Long names in comments are those of the guide. */
export interface GetRequest {
  /** `s` */
  readonly streamVersion: number | undefined;
  /** `f` */
  readonly fileId: number;
  /** `l` */
  readonly blockBytes: number;
  /** `o`: the block that bit 0 of the bitmap stands for. */
  readonly offset: number;
  /** `n`: at most so many blocks. */
  readonly count: number;
  /** `b` */
  readonly bitmap: Uint8Array | undefined;
}

type Members = Readonly<Record<string, unknown>>;

/** @throws StreamError; an empty payload is an empty request: assumed (5.6) */
export function membersOf(format: StreamFormat, payload: Uint8Array): Members {
  if (payload.length === 0) return {};
  const value = format === "json" ? jsonOf(payload) : cborOf(payload);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Members;
  throw new StreamError("InvalidRequest", "The request is not an object");
}

function jsonOf(payload: Uint8Array): unknown {
  const parsed = parseJson(payload, streamLimits.requestDepth);
  if (parsed.ok) return parsed.value;
  throw new StreamError("InvalidJson", "The request is not a valid JSON document");
}

function cborOf(payload: Uint8Array): unknown {
  const parsed = parseCborWithBytes(payload, streamLimits.requestDepth);
  if (parsed !== undefined) return parsed.value;
  throw new StreamError("InvalidCbor", "The request is not a valid CBOR document");
}

/** @throws StreamError; a token that is not valid is not sent back either */
export function tokenOf({ c: token }: Members): string | undefined {
  if (token === undefined) return undefined;
  const limit = streamLimits.clientTokenBytes;
  if (typeof token === "string" && Buffer.byteLength(token) <= limit) return token;
  throw new StreamError(
    "InvalidRequest",
    `The client token is not a text of at most ${limit} bytes`,
  );
}

/** @throws StreamError */
export function parseGet(members: Members): GetRequest {
  const { blockBytesMin, blockBytesMax, blocksMax, fileIdMax, requestBytes } = streamLimits;
  const { s, f, l, o = 0, n, b } = members;
  if (s !== undefined) integer("s", s);
  const fileId = integer("f", f);
  const blockBytes = integer("l", l);
  const offset = integer("o", o);
  const count = n === undefined ? undefined : integer("n", n);
  // Assumed (5.6 of the notes on AWS's protocol): one has to be there; the guide calls both optional.
  if (n === undefined && b === undefined) throw invalid("The request has neither n nor b");
  if (fileId < 0 || fileId > fileIdMax) throw invalid(`The file id is not 0 to ${fileIdMax}`);
  if (blockBytes < blockBytesMin || blockBytes > blockBytesMax) {
    throw new StreamError("BlockSizeOutOfBounds", "The block size is out of bounds");
  }
  if (offset < 0 || offset > blocksMax) {
    throw new StreamError("OffsetOutOfBounds", "The offset is out of bounds");
  }
  if (count !== undefined && (count < 0 || count > blocksMax)) {
    throw new StreamError("BlockCountLimitExceeded", "The number of blocks is out of bounds");
  }
  return {
    streamVersion: s as number | undefined,
    fileId,
    blockBytes,
    offset,
    count: count ?? Math.floor(requestBytes / blockBytes),
    bitmap: b === undefined ? undefined : bitmapOf(b),
  };
}

/**
 * Numbers of the blocks that are sent, lowest first: what the bitmap marks or, without one, `count` from the offset;
 * of these at most `count`, and no more than one request is answered with.
 *
 * @returns undefined when the file has none of the blocks asked for
 */
export function blocksOf(request: GetRequest, fileBytes: number): number[] | undefined {
  const { offset, count, blockBytes, bitmap } = request;
  const blocks = Math.ceil(fileBytes / blockBytes);
  const limit = Math.min(count, Math.floor(streamLimits.requestBytes / blockBytes));
  const end = Math.min(blocks, offset + (bitmap === undefined ? count : bitmap.length * 8));
  const found: number[] = [];
  for (let block = offset; block < end && found.length < limit; block++) {
    if (bitmap === undefined || isMarked(bitmap, block - offset)) found.push(block);
  }
  const isNothingAsked = count === 0 || bitmap?.every(byte => byte === 0);
  return found.length > 0 || isNothingAsked ? found : undefined;
}

/** Bit 0 is the lowest of the first byte. */
function isMarked(bitmap: Uint8Array, bit: number): boolean {
  return (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}

/** Hexadecimal text in JSON, with or without the `0x` of the guide's example; bytes in CBOR. */
function bitmapOf(value: unknown): Uint8Array {
  const limit = streamLimits.bitmapBytes;
  const hex = typeof value === "string" ? value.replace(/^0x/i, "") : undefined;
  if (hex !== undefined && !/^([0-9a-f]{2})+$/i.test(hex)) {
    throw invalid("The bitmap is not a text of hexadecimal bytes");
  }
  const bytes = hex === undefined ? value : Buffer.from(hex, "hex");
  if (!(bytes instanceof Uint8Array) || bytes.length === 0)
    throw invalid("The bitmap is not bytes");
  if (bytes.length < limit) return bytes;
  throw new StreamError("BlockBitmapLimitExceeded", "The size of the bitmap is out of bounds");
}

function integer(name: string, value: unknown): number {
  if (Number.isSafeInteger(value)) return value as number;
  throw invalid(value === undefined ? `The request has no ${name}` : `${name} is not an integer`);
}

function invalid(message: string): StreamError {
  return new StreamError("InvalidRequest", message);
}

/** Bytes are base64 in JSON, as AWS's own clients read it; the guide calls it hexadecimal: assumed (5.6). */
export function encodeReply(
  format: StreamFormat,
  body: Readonly<Record<string, unknown>>,
): Uint8Array {
  if (format === "cbor") return encodeCbor(body);
  const text = JSON.stringify(body, (_name, value: unknown) =>
    value instanceof Uint8Array ? base64(value) : value,
  );
  return Buffer.from(text);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
