// The SDK's TLS session with our judgement in it: of the server's certificates, and of every record before it is used.
import SSLAlert from "ssl/alert";
import handshake from "ssl/handshake";
import Session, { type CertificateManager, type SessionStream } from "ssl/session";
import SSLStream from "ssl/stream";
import type { SecureOptions } from "../../src/host.js";
import { parseAddress } from "../../src/trust/names.js";
import { concat } from "../../src/util/bytes.js";
import { ClientIdentity } from "./client-identity.js";
import { keyArithmetic, NativeCrypto } from "./crypto.js";
import {
  HandshakeGuard,
  messageType,
  namedCurve,
  recordType,
  sha256,
  signatureByKind,
} from "./handshake-guard.js";
import { headerBytes, RecordReader } from "./record-reader.js";
import { judgeServer } from "./server-judge.js";
import { alerts, TLSError } from "./tls-error.js";

/** What a record may hold, both ways: asked for by max_fragment_length, and kept to in any case when writing. */
export const fragmentBytes = 4096;
const certificateVerify = 15;
const warning = 1;
const fatal = 2;

/** The client's half of one connection. Everything it throws ends the connection. */
export class GuardedSession extends Session {
  readonly #guard: HandshakeGuard;
  readonly #reader = new RecordReader();
  readonly #client: ClientIdentity;
  #isSealed = false;

  /**
   * @throws TLSError when there is no time to check dates at
   * @throws AgentError "agent/options" when the client's key is not taken or belongs to another certificate
   */
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
    const { clientCertificates, clientKey } = secure;
    this.#client = new ClientIdentity(clientCertificates, clientKey, keyArithmetic);
    const { now } = secure;
    if (!Number.isFinite(now)) throw new TLSError("internalError", "no time to check dates at");
    this.#guard = new HandshakeGuard({
      protocols,
      fragmentBytes,
      clientKey: this.#client.kind,
      crypto: new NativeCrypto(),
      judge: chain => judgeServer({ chain, anchors: secure.trustAnchors, serverName, now }),
      clientRandom: () => new Uint8Array(this.clientRandom),
    });
    this.certificateManager = new JudgedServer(this.#guard, this.#client);
    this.initiateHandshake();
  }

  /** Whether the server encrypts by now: in a handshake, whether all but its Finished has come. */
  get isSealed(): boolean {
    return this.#isSealed;
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
    // What is in the encrypted message is for the SDK to read: were it not Finished, it would begin anew.
    if (this.#isSealed && protocol !== SSLAlert) {
      throw new TLSError("unexpectedMessage", "another message instead of Finished");
    }
    if (protocol === handshake.certificateVerify) this.#verifyCertificate(stream);
    else super.doProtocol(stream, protocol, first, second);
  }

  override readPacket(stream: SessionStream): Uint8Array | undefined {
    while (stream.readable > 0) {
      const bound = this.#guard.isFragmentBound ? fragmentBytes : undefined;
      const record = this.#reader.next(stream, this.#isSealed, bound);
      if (record === undefined) return undefined;
      const messages = this.#guard.accept(record[0]!, record.subarray(headerBytes));
      if (record[0] === recordType.changeCipherSpec) this.#isSealed = true;
      if (messages === undefined) return record;
      for (const message of messages) this.#take(message);
      // What the handshake has come to is answered before more is read.
      if (messages.length > 0) return undefined;
    }
    return undefined;
  }

  /** The guard has verified the key exchange: the SDK gets its point, and the handshake's digest the message. */
  #take(message: Uint8Array): void {
    if (message[0] !== messageType.serverKeyExchange) {
      handshake.unpacketize(this, new SSLStream(message));
      return;
    }
    const point = this.#guard.serverPoint!.slice();
    this.dhparams = { named_curve: namedCurve, dh_Ys: point.buffer };
    for (const digest of Object.values(this.handshakeDigests)) digest.write(message);
  }

  /** Proves possession of the client's key. @see RFC 5246 7.4.8 */
  #verifyCertificate(stream: SessionStream): void {
    const digest = new Uint8Array(handshake.certificateVerify.calculateDigest(this));
    const signature = this.#client.sign(digest);
    const algorithm = signatureByKind[this.#client.kind ?? "ec"];
    const head = Uint8Array.of(sha256, algorithm, signature.length >> 8, signature.length & 255);
    const body = concat([head, signature]);
    stream.write(handshake.packetize(this, certificateVerify, new SSLStream(body)));
  }
}

/** What the SDK's handshake asks about certificates; the guard has answered before it does. */
class JudgedServer implements CertificateManager {
  readonly #guard: HandshakeGuard;
  readonly #client: ClientIdentity;

  constructor(guard: HandshakeGuard, client: ClientIdentity) {
    this.#guard = guard;
    this.#client = client;
  }

  verify(): boolean {
    return this.#guard.serverKey !== undefined;
  }

  register(): void {
    // The guard keeps the key.
  }

  findPreferredCert(): readonly Uint8Array[] {
    return this.#client.certificates;
  }
}
