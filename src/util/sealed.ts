// Values in flash that are whole or not there, whatever the medium does: a checksum and a sequence before the content.
import { AgentError } from "../errors.js";
import type { KeyValue } from "../host.js";
import { crc32 } from "./crc32.js";

const headBytes = 8;

export interface Sealed {
  /** Counts up with each writing. */
  readonly sequence: number;
  readonly content: Uint8Array;
}

export function seal(sequence: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headBytes + content.length);
  bytes.set(content, headBytes);
  return sealInPlace(sequence, bytes);
}

/** @param bytes the content, after as many bytes as the head takes */
function sealInPlace(sequence: number, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(4, sequence);
  view.setUint32(0, crc32(bytes, 4));
  return bytes;
}

/** @returns undefined for what was not sealed, or not wholly written */
export function unseal(stored: ArrayBuffer | undefined): Sealed | undefined {
  if (stored === undefined || stored.byteLength < headBytes) return undefined;
  const view = new DataView(stored);
  const bytes = new Uint8Array(stored);
  if (view.getUint32(0) !== crc32(bytes.subarray(4))) return undefined;
  return { sequence: view.getUint32(4), content: bytes.subarray(headBytes) };
}

/**
 * One value in two places: read from the newer that is whole.
 *
 * @returns undefined when it was never written, or the first time not wholly
 * @throws AgentError "storage/damaged" when neither place is whole
 */
export function readPair(store: KeyValue, name: string): Uint8Array | undefined {
  const stored = placesOf(store, name);
  const newest = newestOf(stored);
  if (newest === undefined && stored.every(Boolean)) {
    throw new AgentError("storage/damaged", `${name}: neither copy is whole`);
  }
  return newest?.content;
}

/**
 * Written to the older of the two places.
 *
 * @param content  or what makes it, after so many bytes that are left free: then there is no copy of it
 * @throws         what the store throws: the value before it still holds
 */
export function writePair(
  store: KeyValue,
  name: string,
  content: Uint8Array | ((room: number) => Uint8Array),
): void {
  const sequence = (newestOf(placesOf(store, name))?.sequence ?? 0) + 1;
  const sealed =
    typeof content === "function"
      ? sealInPlace(sequence, content(headBytes))
      : seal(sequence, content);
  store.write(`${name}.${sequence % 2}`, sealed);
}

type Places = readonly (ArrayBuffer | undefined)[];

function placesOf(store: KeyValue, name: string): Places {
  return [0, 1].map(place => store.read(`${name}.${place}`));
}

function newestOf(places: Places): Sealed | undefined {
  const [first, second] = places.map(unseal);
  return second && second.sequence > (first?.sequence ?? -1) ? second : first;
}
