// An emulated image of firmware: as ESP-IDF's it begins with 0xE9 and ends with the SHA-256 of all before. What is between is ours:
// a format, two lengths, and a description in the place of `esp_app_desc_t`.
//
//   0  magic 0xE9   1  format   2  bytes of the description, u16   4  bytes of the image, u32, the digest included
//   8  the description, JSON: {"product","version"}   then the payload   then SHA-256
//
// Numbers are little-endian.
import { readJson, writeJson } from "../../src/codec/json.js";
import type { Crypto, Flash, ImageDescription } from "../../src/host.js";
import { concat, isEqual, toUtf8 } from "../../src/util/bytes.js";

const magic = 0xe9;
const format = 1;
const headerBytes = 8;
const digestBytes = 32;
const mostDescriptionBytes = 512;
/** What is read from flash at once. */
const pieceBytes = 4096;

export interface ImageLayout {
  readonly description: ImageDescription;
  /** Bytes of the whole image, from the slot's begin. */
  readonly length: number;
  readonly payloadOffset: number;
  readonly payloadLength: number;
}

export interface ImageParts {
  readonly product: string;
  readonly version: string;
  readonly payload: Uint8Array;
}

/** @throws RangeError for a description of more than 512 bytes */
export function makeImage(
  crypto: Pick<Crypto, "digest">,
  { product, version, payload }: ImageParts,
): Uint8Array {
  const description = toUtf8(writeJson({ product, version }));
  if (description.length > mostDescriptionBytes) throw new RangeError("image: long description");
  const header = new Uint8Array(headerBytes);
  const length = headerBytes + description.length + payload.length + digestBytes;
  const view = new DataView(header.buffer);
  header[0] = magic;
  header[1] = format;
  view.setUint16(2, description.length, true);
  view.setUint32(4, length, true);
  const signed = concat([header, description, payload]);
  return concat([signed, crypto.digest("SHA-256", signed)]);
}

/**
 * What the image at the begin of a slot says of itself, its digest unchecked.
 *
 * @returns undefined where there is none, or one that is longer than the slot
 */
export function readImage(slot: Flash): ImageLayout | undefined {
  const { size } = slot.status();
  const header = new DataView(slot.read(headerBytes, 0));
  if (header.getUint8(0) !== magic || header.getUint8(1) !== format) return undefined;
  const descriptionBytes = header.getUint16(2, true);
  const length = header.getUint32(4, true);
  const payloadOffset = headerBytes + descriptionBytes;
  const payloadLength = length - digestBytes - payloadOffset;
  if (descriptionBytes > mostDescriptionBytes || payloadLength < 0 || length > size) {
    return undefined;
  }
  const description = readDescription(new Uint8Array(slot.read(descriptionBytes, headerBytes)));
  return description && { description, length, payloadOffset, payloadLength };
}

/** Whether a slot holds an image whose digest is right; reads all of it. */
export function isWhole(slot: Flash, crypto: Pick<Crypto, "startDigest">): boolean {
  const image = readImage(slot);
  if (image === undefined) return false;
  const digest = crypto.startDigest("SHA-256");
  const end = image.length - digestBytes;
  const piece = new Uint8Array(pieceBytes);
  for (let at = 0; at < end; at += pieceBytes) {
    const part = piece.subarray(0, Math.min(pieceBytes, end - at));
    slot.read(part, at);
    digest.write(part);
  }
  return isEqual(digest.close(), new Uint8Array(slot.read(digestBytes, end)));
}

function readDescription(text: Uint8Array): ImageDescription | undefined {
  try {
    return readJson(text, { product: "string", version: "string" }, "image");
  } catch {
    return undefined;
  }
}
