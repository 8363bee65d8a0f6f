// Random bytes from the system generator, for this host and for the SDK's own modules.
import { fillRandom } from "skerry/platform/machine";

/** The most one call of the system generator is asked for. */
const maxBytes = 256;

/** @param byteLength 1 to 256. @throws when out of bounds or when the generator has refused. */
export function randomBytes(byteLength: number): Uint8Array {
  if (!Number.isInteger(byteLength) || byteLength < 1 || byteLength > maxBytes) {
    throw new RangeError(`random: ${byteLength} bytes, 1 to ${maxBytes} are given`);
  }
  const bytes = new Uint8Array(byteLength);
  fillRandom(bytes.buffer);
  // A generator that answers without writing leaves zeros: 2 ** -128 by chance.
  if (byteLength >= 16 && bytes.every(byte => byte === 0)) throw new Error("random: only zeros");
  return bytes;
}
