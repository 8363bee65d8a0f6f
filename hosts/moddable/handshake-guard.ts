// What a TLS 1.2 server may say before encryption starts (RFC 5246 7.3), checked before the SDK's handshake code sees it.

import type { PublicKey } from "../../src/trust/algorithm.js";
import { isSignature, type Verifier } from "../../src/trust/signature.js";
import { concat } from "../../src/util/bytes.js";
import { isPoint, pointBytes } from "./p256.js";
import { alerts, TLSError } from "./tls-error.js";

export const recordType = Object.freeze({
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
});

export const messageType = Object.freeze({
  serverHello: 2,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
});

/** Header and content of the message, and what AES-GCM adds to them. */
const finishedBytes = 4 + 12 + 24;
/** One handshake message, a certificate chain at most. */
const maxMessageBytes = 16_384;
const versionTls12 = 0x0303;
/** secp256r1, the only one that is offered. */
export const namedCurve = 23;
const ecdheEcdsaAes128Gcm = 0xc02b;
const ecdheRsaAes128Gcm = 0xc02f;
export const sha256 = 4;
/** SignatureAlgorithm, by the kind of key. */
export const signatureByKind = Object.freeze({ rsa: 1, ec: 3 });
/** ClientCertificateType. @see RFC 5246 7.4.4; RFC 8422 5.5 */
const certificateByKind = Object.freeze({ rsa: 1, ec: 64 });

export interface GuardOptions {
  /** Protocols offered by ALPN; a choice has to be one of them. */
  readonly protocols: readonly string[];
  /** The bound that was asked for; the server may ignore it, but not change it. @see RFC 6066 4 */
  readonly fragmentBytes: number;
  /** Kind of the key to answer a request for a certificate with, if there is one. */
  readonly clientKey: "rsa" | "ec" | undefined;
  /** Calculates for the server's signature. */
  readonly crypto: Verifier;
  /** Judges the chain. @returns the leaf's key. @throws TLSError */
  judge(chain: readonly Uint8Array[]): PublicKey;
  clientRandom(): Uint8Array;
}

/** "cipher": ChangeCipherSpec is due; "finished": Finished is; "verdict": it has come, and is being looked at. */
export type GuardPhase = "plain" | "cipher" | "finished" | "verdict";

/** What the records after the handshake may be. @throws TLSError */
export function checkOpenRecord(type: number): void {
  if (type !== recordType.applicationData && type !== recordType.alert) {
    throw unexpected(`record ${type} after the handshake`);
  }
}

/** Of one handshake, and not needed after it. Every refusal is a TLSError; after one the connection is over. */
export class HandshakeGuard {
  readonly #options: GuardOptions;
  #phase: GuardPhase = "plain";
  #last = 0;
  #pending: Uint8Array = new Uint8Array(0);
  #suite = 0;
  #serverRandom: Uint8Array = new Uint8Array(0);
  #serverKey: PublicKey | undefined;
  #serverPoint: Uint8Array | undefined;
  #isFragmentBound = false;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** The leaf's key, once its chain has been believed. */
  get serverKey(): PublicKey | undefined {
    return this.#serverKey;
  }

  /** The point of the server's key exchange, once its signature has been found right. */
  get serverPoint(): Uint8Array | undefined {
    return this.#serverPoint;
  }

  /** Whether the server has agreed to the fragment bound. */
  get isFragmentBound(): boolean {
    return this.#isFragmentBound;
  }

  /** Whether Finished has come: when it is right as well, the handshake is over. */
  get isComplete(): boolean {
    return this.#phase === "verdict";
  }

  /**
   * @param fragment  content of one record, encrypted from phase "finished" on
   * @returns         in the clear, the handshake messages that are whole by now, headers included; undefined from then on
   */
  accept(type: number, fragment: Uint8Array): readonly Uint8Array[] | undefined {
    switch (this.#phase) {
      case "plain":
        return this.#plain(type, fragment);
      case "cipher":
        if (type === recordType.alert) throw alertFrom(fragment);
        if (type !== recordType.changeCipherSpec || fragment.length !== 1 || fragment[0] !== 1) {
          throw unexpected(`record ${type} instead of ChangeCipherSpec`);
        }
        this.#phase = "finished";
        return undefined;
      case "finished":
        if (type === recordType.alert) return undefined;
        if (type !== recordType.handshake) throw unexpected(`record ${type} instead of Finished`);
        // Alone in its record, whose length tells.
        if (fragment.length !== finishedBytes) {
          throw new TLSError("decodeError", `${fragment.length} bytes instead of Finished`);
        }
        this.#phase = "verdict";
        return undefined;
      case "verdict":
        throw unexpected(`record ${type} before the handshake is over`);
    }
  }

  #plain(type: number, fragment: Uint8Array): Uint8Array[] {
    if (type === recordType.alert) throw alertFrom(fragment);
    if (type !== recordType.handshake || fragment.length === 0) {
      throw unexpected(`record ${type} in the handshake`);
    }
    const bytes = concat([this.#pending, fragment]);
    const messages: Uint8Array[] = [];
    let end = 0;
    while (bytes.length - end >= 4) {
      const length = unsigned(bytes, end + 1, 3);
      if (length > maxMessageBytes) throw new TLSError("decodeError", `message of ${length} bytes`);
      if (bytes.length - end < 4 + length) break;
      this.#message(bytes[end]!, bytes.subarray(end + 4, end + 4 + length));
      messages.push(bytes.subarray(end, end + 4 + length));
      end += 4 + length;
    }
    this.#pending = bytes.slice(end);
    if (this.#phase === "cipher" && this.#pending.length > 0) {
      throw unexpected("bytes after ServerHelloDone");
    }
    return messages;
  }

  #message(type: number, body: Uint8Array): void {
    if (!mayFollow(this.#last, type)) throw unexpected(`message ${type} after ${this.#last}`);
    this.#last = type;
    const reader = new Fields(body);
    if (type === messageType.serverHello) this.#serverHello(reader);
    else if (type === messageType.certificate) this.#certificate(reader);
    else if (type === messageType.serverKeyExchange) this.#keyExchange(reader);
    else if (type === messageType.certificateRequest) this.#certificateRequest(reader);
    else this.#phase = "cipher";
    reader.end();
  }

  #serverHello(fields: Fields): void {
    const version = fields.number(2);
    if (version !== versionTls12) {
      throw new TLSError("protocolVersion", `server speaks version 0x${version.toString(16)}`);
    }
    this.#serverRandom = fields.bytes(32).slice();
    fields.vector(1);
    this.#suite = fields.number(2);
    if (this.#suite !== ecdheEcdsaAes128Gcm && this.#suite !== ecdheRsaAes128Gcm) {
      throw new TLSError("illegalParameter", `cipher suite 0x${this.#suite.toString(16)}`);
    }
    if (fields.number(1) !== 0) throw new TLSError("illegalParameter", "compression");
    if (fields.isAtEnd) return;
    const extensions = new Fields(fields.vector(2));
    const seen: number[] = [];
    while (!extensions.isAtEnd) {
      const type = extensions.number(2);
      const data = new Fields(extensions.vector(2));
      if (seen.includes(type)) throw new TLSError("illegalParameter", `extension ${type} twice`);
      seen.push(type);
      this.#extension(type, data);
      data.end();
    }
  }

  #extension(type: number, data: Fields): void {
    switch (type) {
      case 0: // server_name
        return;
      case 1: // max_fragment_length, 1 for 2 ** 9
        if (2 ** (data.number(1) + 8) !== this.#options.fragmentBytes) {
          throw new TLSError("illegalParameter", "another fragment length");
        }
        this.#isFragmentBound = true;
        return;
      case 11: // ec_point_formats
        if (!data.vector(1).includes(0)) throw new TLSError("illegalParameter", "point formats");
        return;
      case 16: {
        const names = new Fields(data.vector(2));
        const name = String.fromCharCode(...names.vector(1));
        names.end();
        if (!this.#options.protocols.includes(name)) {
          throw new TLSError("noApplicationProtocol", "protocol that was not offered");
        }
        return;
      }
      default:
        throw new TLSError("unsupportedExtension", `extension ${type} was not offered`);
    }
  }

  #certificate(fields: Fields): void {
    const list = new Fields(fields.vector(3));
    const chain: Uint8Array[] = [];
    while (!list.isAtEnd) chain.push(list.vector(3));
    const key = this.#options.judge(chain);
    const kind = this.#suite === ecdheEcdsaAes128Gcm ? "ec" : "rsa";
    if (key.kind !== kind || (key.kind === "ec" && key.curve !== "P-256"))
      throw new TLSError("illegalParameter", "key does not fit the cipher suite");
    this.#serverKey = key;
  }

  /** ECDHE parameters and the signature over them. @see RFC 8422 5.4 */
  #keyExchange(fields: Fields): void {
    const key = this.#serverKey!;
    if (fields.number(1) !== 3 || fields.number(2) !== namedCurve) {
      throw new TLSError("illegalParameter", "key exchange not on P-256");
    }
    const point = fields.vector(1);
    if (!isPoint(point)) throw new TLSError("illegalParameter", "key exchange point");
    const parameters = fields.consumed(4 + pointBytes);
    if (fields.number(1) !== sha256 || fields.number(1) !== signatureByKind[key.kind]) {
      throw new TLSError("illegalParameter", "key exchange signature algorithm");
    }
    const signature = fields.vector(2);
    const signed = concat([this.#options.clientRandom(), this.#serverRandom, parameters]);
    const scheme = { kind: key.kind === "ec" ? "ecdsa" : "pkcs1", hash: "SHA-256" } as const;
    if (!isSignature(this.#options.crypto, { key, scheme, message: signed, signature })) {
      throw new TLSError("decryptError", "key exchange signature");
    }
    this.#serverPoint = point;
  }

  #certificateRequest(fields: Fields): void {
    const types = fields.vector(1);
    const algorithms = fields.vector(2);
    fields.vector(2);
    const kind = this.#options.clientKey;
    if (kind === undefined) return;
    let isKnown = false;
    for (let i = 0; i + 1 < algorithms.length; i += 2) {
      isKnown ||= algorithms[i] === sha256 && algorithms[i + 1] === signatureByKind[kind];
    }
    if (!types.includes(certificateByKind[kind]) || !isKnown) {
      const name = kind === "ec" ? "ECDSA" : "RSA";
      throw new TLSError("handshakeFailure", `server takes no ${name} certificate`);
    }
  }
}

function mayFollow(last: number, type: number): boolean {
  switch (type) {
    case messageType.serverHello:
      return last === 0;
    case messageType.certificate:
      return last === messageType.serverHello;
    case messageType.serverKeyExchange:
      return last === messageType.certificate;
    case messageType.certificateRequest:
      return last === messageType.serverKeyExchange;
    case messageType.serverHelloDone:
      return last === messageType.serverKeyExchange || last === messageType.certificateRequest;
    default:
      return false;
  }
}

function alertFrom(fragment: Uint8Array): TLSError {
  const received = fragment.length === 2 ? fragment[1] : undefined;
  if (received === alerts.closeNotify)
    return new TLSError(undefined, "server closed the connection");
  const message = `server sent alert ${received ?? "of a wrong length"}`;
  return new TLSError(undefined, message, { received });
}

function unexpected(what: string): TLSError {
  return new TLSError("unexpectedMessage", what);
}

function unsigned(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + bytes[at + i]!;
  return value;
}

/** Fixed and counted fields of one message; reading past the end is a decode error. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(length: number): number {
    return unsigned(this.bytes(length), 0, length);
  }

  bytes(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at)
      throw new TLSError("decodeError", "message too short");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Content of a vector whose length stands before it in `lengthBytes` octets. */
  vector(lengthBytes: number): Uint8Array {
    return this.bytes(this.number(lengthBytes));
  }

  /** The last `length` bytes that were read. */
  consumed(length: number): Uint8Array {
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  end(): void {
    if (!this.isAtEnd) throw new TLSError("decodeError", "message too long");
  }
}
