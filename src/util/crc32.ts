// CRC-32 (IEEE 802.3, reflected), a nibble at a time: the table of all bytes would take 1 KB of flash.

const polynomial = 0xedb88320;

const table = Object.freeze(
  Array.from({ length: 16 }, (_, nibble) => {
    let value = nibble;
    for (let bit = 0; bit < 4; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value >>> 0;
  }),
);

/**
 * @param previous  what came out for the bytes before, or any number to start from
 * @returns         an unsigned number of 32 bits
 */
export function crc32(bytes: Uint8Array, from = 0, to = bytes.length, previous = 0): number {
  let crc = ~previous;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    crc = table[(crc ^ byte) & 15]! ^ (crc >>> 4);
    crc = table[(crc ^ (byte >> 4)) & 15]! ^ (crc >>> 4);
  }
  return ~crc >>> 0;
}

/**
 * Which single bit, turned over, explains a checksum that is not the expected one.
 *
 * @param difference  of the two, exclusive or
 * @param bits        length of the message
 * @returns           counted from the message's last bit (the uppermost of its last byte), or -1: more than one is wrong
 */
export function turnedBit(difference: number, bits: number): number {
  let effect = polynomial;
  for (let bit = 0; bit < bits; bit++) {
    if (effect === difference) return bit;
    effect = (effect & 1 ? (effect >>> 1) ^ polynomial : effect >>> 1) >>> 0;
  }
  return -1;
}
