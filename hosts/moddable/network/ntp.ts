// The two packets of SNTP: a question with a mark of its own, and the answers that can be believed. @see RFC 4330, RFC 5905 7.3

const packetBytes = 48;
export const ntpPort = 123;
export const markBytes = 8;
/** From 1900 to 1970. */
const epochSeconds = 2_208_988_800;
const eraSeconds = 2 ** 32;
/** Seconds below this are of the era that begins in February 2036. */
const firstOfEra = 2 ** 31;

const versionFour = 4;
const client = 3;
const server = 4;
const unsynchronized = 3;

/** @param mark 8 random bytes in the place of the sender's time: who sends them back has seen the question */
export function encodeQuestion(mark: Uint8Array): Uint8Array {
  const packet = new Uint8Array(packetBytes);
  packet[0] = (versionFour << 3) | client;
  packet.set(mark, 40);
  return packet;
}

export type Answer =
  /** Epoch ms of the moment it was sent. */
  | { readonly type: "time"; readonly time: number }
  /** The server wants no questions, or does not know the time itself. */
  | { readonly type: "refused" }
  /** No answer to this question. */
  | { readonly type: "foreign" };

/** @param mark of the question */
export function parseAnswer(packet: Uint8Array, mark: Uint8Array): Answer {
  if (packet.length < packetBytes) return { type: "foreign" };
  const [first, stratum] = [packet[0]!, packet[1]!];
  const version = (first >> 3) & 7;
  const isServer = (first & 7) === server && version >= 1 && version <= versionFour;
  if (!isServer || mark.some((byte, at) => packet[24 + at] !== byte)) return { type: "foreign" };
  const view = new DataView(packet.buffer, packet.byteOffset, packetBytes);
  const [seconds, fraction] = [view.getUint32(40), view.getUint32(44)];
  const isSure = first >> 6 !== unsynchronized && stratum >= 1 && stratum <= 15;
  if (!isSure || seconds === 0) return { type: "refused" };
  const era = seconds < firstOfEra ? eraSeconds : 0;
  const ms = Math.floor((fraction * 1000) / eraSeconds);
  return { type: "time", time: (seconds + era - epochSeconds) * 1000 + ms };
}
