// CRC-32 (IEEE 802.3, reflected), a nibble at a time: the table of all bytes would take 1 KB of flash.

const table = Object.freeze(
  Array.from({ length: 16 }, (_, nibble) => {
    let value = nibble;
    for (let bit = 0; bit < 4; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value >>> 0;
  }),
);

/** @returns an unsigned number of 32 bits */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc = table[(crc ^ byte) & 15]! ^ (crc >>> 4);
    crc = table[(crc ^ (byte >> 4)) & 15]! ^ (crc >>> 4);
  }
  return ~crc >>> 0;
}
