// The SDK's TLS session with our judgement in it: of the server's certificates, and of every record before it is used.
import SSLAlert from "ssl/alert";
import handshake from "ssl/handshake";
import Session, { type CertificateManager, type SessionStream } from "ssl/session";
import SSLStream from "ssl/stream";
import type { SecureOptions } from "../../src/host.js";
import type { PublicKey } from "../../src/trust/algorithm.js";
import { parseAddress } from "../../src/trust/names.js";
import { concat } from "../../src/util/bytes.js";
import { signDigest } from "./crypto.js";
import { HandshakeGuard, recordType } from "./handshake-guard.js";
import { headerBytes, RecordReader } from "./record-reader.js";
import { isRsaSignature, judgeServer, nativeKey } from "./server-judge.js";
import { alerts, TLSError } from "./tls-error.js";

/** What a record may hold, both ways: asked for by max_fragment_length, and kept to in any case when writing. */
export const fragmentBytes = 4096;
const certificateVerify = 15;
const ecdsaWithSha256 = Object.freeze([4, 3]);
const warning = 1;
const fatal = 2;

/** The client's half of one connection. Everything it throws ends the connection. */
export class GuardedSession extends Session {
  readonly #guard: HandshakeGuard;
  readonly #reader = new RecordReader();
  readonly #clientKey: Uint8Array;
  #isSealed = false;

  /** @throws TLSError when there is no time to check dates at */
  constructor(secure: SecureOptions, host: string) {
    const serverName = secure.serverName ?? host;
    const protocols = secure.applicationLayerProtocolNegotiation ?? [];
    super({
      // Literal addresses are not sent as a server name. RFC 6066 3
      ...(parseAddress(serverName) === undefined ? { serverName } : {}),
      ...(protocols.length > 0 ? { applicationLayerProtocolNegotiation: protocols } : {}),
      protocolVersion: 0x0303,
      cache: false,
      tls_max_fragment_length: fragmentBytes,
    });
    checkClientCertificates(secure.clientCertificates);
    const { now } = secure;
    if (!Number.isFinite(now)) throw new TLSError("internalError", "no time to check dates at");
    this.#clientKey = secure.clientKey;
    this.#guard = new HandshakeGuard({
      protocols,
      fragmentBytes,
      hasCertificate: secure.clientCertificates.length > 0,
      judge: chain => judgeServer({ chain, anchors: secure.trustAnchors, serverName, now }),
      verifyRsa: isRsaSignature,
      clientRandom: () => new Uint8Array(this.clientRandom),
    });
    this.certificateManager = new JudgedServer(this.#guard, secure.clientCertificates);
    this.initiateHandshake();
  }

  /** Says that the handshake is over: from here on only application data and alerts may come. */
  open(): void {
    this.#guard.open();
  }

  /** Writes an alert; what the peer makes of it is not waited for. */
  sendAlert(stream: SessionStream, description: number): void {
    const level = description === alerts.closeNotify ? warning : fatal;
    this.doProtocol(stream, SSLAlert, level, description);
  }

  override doProtocol(
    stream: SessionStream,
    protocol: object,
    first?: unknown,
    second?: unknown,
  ): void {
    if (protocol === handshake.certificateVerify) this.#verifyCertificate(stream);
    else super.doProtocol(stream, protocol, first, second);
  }

  override readPacket(stream: SessionStream): Uint8Array | undefined {
    while (stream.readable > 0) {
      const bound = this.#guard.isFragmentBound ? fragmentBytes : undefined;
      const record = this.#reader.next(stream, this.#isSealed, bound);
      if (record === undefined) return undefined;
      const fragment = record.subarray(headerBytes);
      const accepted = this.#guard.accept(record[0]!, fragment);
      if (record[0] === recordType.changeCipherSpec) this.#isSealed = true;
      if (accepted === fragment) return record;
      if (accepted !== undefined) return toRecord(record, accepted);
    }
    return undefined;
  }

  /** Proves possession of the client's key. @see RFC 5246 7.4.8 */
  #verifyCertificate(stream: SessionStream): void {
    const digest = new Uint8Array(handshake.certificateVerify.calculateDigest(this));
    const signature = signDigest(this.#clientKey, digest);
    const length = Uint8Array.of(signature.length >> 8, signature.length & 255);
    const body = concat([Uint8Array.from(ecdsaWithSha256), length, signature]);
    stream.write(handshake.packetize(this, certificateVerify, new SSLStream(body)));
  }
}

/** What the SDK's handshake asks about certificates; the guard has answered before it does. */
class JudgedServer implements CertificateManager {
  readonly #guard: HandshakeGuard;
  readonly #clientCertificates: readonly Uint8Array[];

  constructor(guard: HandshakeGuard, clientCertificates: readonly Uint8Array[]) {
    this.#guard = guard;
    this.#clientCertificates = clientCertificates;
  }

  verify(): boolean {
    return this.#guard.serverKey !== undefined;
  }

  register(): void {
    // The guard keeps the key.
  }

  getKey(): object {
    const key: PublicKey | undefined = this.#guard.serverKey;
    if (key === undefined) throw new TLSError("unexpectedMessage", "no server certificate");
    return nativeKey(key);
  }

  findPreferredCert(): readonly Uint8Array[] {
    return this.#clientCertificates;
  }
}

/** The chain has to fit one record. */
function checkClientCertificates(certificates: readonly Uint8Array[]): void {
  const bytes = certificates.reduce((sum, certificate) => sum + certificate.length + 3, 7);
  if (bytes > fragmentBytes) {
    throw new TLSError("internalError", `client certificates: ${bytes}, at most ${fragmentBytes}`);
  }
}

/** Whole handshake messages under the header of the record that completed them; the length field holds 64 KB. */
function toRecord(header: Uint8Array, messages: Uint8Array): Uint8Array {
  const length = Uint8Array.of(messages.length >> 8, messages.length & 255);
  return concat([header.subarray(0, 3), length, messages]);
}
