// A device's first words in TLS, and the records around them. Reads bytes, decides nothing.

export interface ClientHello {
  /** As on the wire. */
  readonly suites: readonly number[];
  /** Highest first as a rule: 0x0304 is TLS 1.3. */
  readonly versions: readonly number[];
  readonly serverName: string | undefined;
}

/** The records of one direction, however the bytes come. */
export class RecordReader {
  readonly #onRecord: (type: number, content: Uint8Array) => void;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(onRecord: (type: number, content: Uint8Array) => void) {
    this.#onRecord = onRecord;
  }

  push(bytes: Uint8Array): void {
    let rest: Uint8Array = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.length >= 5) {
      const end = 5 + ((rest[3]! << 8) | rest[4]!);
      if (rest.length < end) break;
      this.#onRecord(rest[0]!, rest.subarray(5, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest.slice();
  }
}

export const recordType = Object.freeze({ alert: 21, handshake: 22 });

/** @returns undefined for anything but a whole ClientHello. @see RFC 8446 section 4.1.2 */
export function parseClientHello(handshake: Uint8Array): ClientHello | undefined {
  try {
    return readHello(new Reader(handshake));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function readHello(reader: Reader): ClientHello | undefined {
  if (reader.number(1) !== 1) return undefined;
  const body = reader.vector(3);
  const legacyVersion = body.number(2);
  body.take(32);
  body.vector(1);
  const suites = body.vector(2).numbers(2);
  body.vector(1);
  let versions: readonly number[] = [legacyVersion];
  let serverName: string | undefined;
  const extensions = body.isAtEnd ? undefined : body.vector(2);
  while (extensions && !extensions.isAtEnd) {
    const kind = extensions.number(2);
    const content = extensions.vector(2);
    if (kind === 43) versions = content.vector(1).numbers(2);
    if (kind === 0) serverName = nameIn(content.vector(2));
  }
  return { suites, versions: versions.filter(isNotGrease), serverName };
}

function nameIn(list: Reader): string | undefined {
  if (list.number(1) !== 0) return undefined;
  return Buffer.from(list.vector(2).rest).toString("latin1");
}

/** RFC 8701: values that mean nothing. */
export function isNotGrease(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a || value >> 8 !== (value & 0xff);
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw new RangeError("ends early");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  number(octets: number): number {
    return this.take(octets).reduce((value, octet) => value * 256 + octet, 0);
  }

  vector(lengthOctets: number): Reader {
    return new Reader(this.take(this.number(lengthOctets)));
  }

  numbers(octets: number): number[] {
    const values: number[] = [];
    while (!this.isAtEnd) values.push(this.number(octets));
    return values;
  }
}

const alertNames: Readonly<Record<number, string>> = Object.freeze({
  0: "close_notify",
  10: "unexpected_message",
  20: "bad_record_mac",
  22: "record_overflow",
  40: "handshake_failure",
  42: "bad_certificate",
  43: "unsupported_certificate",
  44: "certificate_revoked",
  45: "certificate_expired",
  46: "certificate_unknown",
  47: "illegal_parameter",
  48: "unknown_ca",
  50: "decode_error",
  51: "decrypt_error",
  70: "protocol_version",
  80: "internal_error",
  90: "user_canceled",
  116: "certificate_required",
});

/** @param content of an alert record that is not encrypted */
export function alertName(content: Uint8Array): string | undefined {
  if (content.length !== 2) return undefined;
  return alertNames[content[1]!] ?? `alert ${content[1]}`;
}
