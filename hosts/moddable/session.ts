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
  checkOpenRecord,
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
  readonly #reader = new RecordReader();
  /** Holds the anchors and the client's key, kilobytes of them: kept only until the handshake is over. */
  #parties: Parties | undefined;
  #isSealed = false;
  #isFragmentBound = false;

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
    const client = new ClientIdentity(clientCertificates, clientKey, keyArithmetic);
    const { now } = secure;
    if (!Number.isFinite(now)) throw new TLSError("internalError", "no time to check dates at");
    const guard = new HandshakeGuard({
      protocols,
      fragmentBytes,
      clientKey: client.kind,
      crypto: new NativeCrypto(),
      judge: chain => judgeServer({ chain, anchors: secure.trustAnchors, serverName, now }),
      clientRandom: () => new Uint8Array(this.clientRandom),
    });
    this.#parties = new Parties(guard, client);
    this.certificateManager = this.#parties;
    this.initiateHandshake();
  }

  /** Whether the server encrypts by now: in a handshake, whether all but its Finished has come. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** Says that the server's Finished was right: from here on only application data and alerts may come. */
  open(): void {
    const guard = this.#parties?.guard;
    if (!guard?.isComplete) throw new TLSError("unexpectedMessage", "handshake out of order");
    this.#parties = undefined;
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
    if (protocol === handshake.certificateVerify && this.#parties !== undefined) {
      this.#verifyCertificate(stream, this.#parties.client);
    } else super.doProtocol(stream, protocol, first, second);
  }

  override readPacket(stream: SessionStream): Uint8Array | undefined {
    while (stream.readable > 0) {
      const bound = this.#isFragmentBound ? fragmentBytes : undefined;
      const record = this.#reader.next(stream, this.#isSealed, bound);
      if (record === undefined) return undefined;
      const type = record[0]!;
      const guard = this.#parties?.guard;
      if (guard === undefined) {
        checkOpenRecord(type);
        return record;
      }
      const messages = guard.accept(type, record.subarray(headerBytes));
      this.#isFragmentBound = guard.isFragmentBound;
      if (type === recordType.changeCipherSpec) this.#isSealed = true;
      if (messages === undefined) return record;
      for (const message of messages) this.#take(message, guard);
      // What the handshake has come to is answered before more is read.
      if (messages.length > 0) return undefined;
    }
    return undefined;
  }

  /** The guard has verified the key exchange: the SDK gets its point, and the handshake's digest the message. */
  #take(message: Uint8Array, guard: HandshakeGuard): void {
    if (message[0] !== messageType.serverKeyExchange) {
      handshake.unpacketize(this, new SSLStream(message));
      return;
    }
    const point = guard.serverPoint!.slice();
    this.dhparams = { named_curve: namedCurve, dh_Ys: point.buffer };
    for (const digest of Object.values(this.handshakeDigests)) digest.write(message);
  }

  /** Proves possession of the client's key. @see RFC 5246 7.4.8 */
  #verifyCertificate(stream: SessionStream, client: ClientIdentity): void {
    const digest = new Uint8Array(handshake.certificateVerify.calculateDigest(this));
    const signature = client.sign(digest);
    const algorithm = signatureByKind[client.kind ?? "ec"];
    const head = Uint8Array.of(sha256, algorithm, signature.length >> 8, signature.length & 255);
    const body = concat([head, signature]);
    stream.write(handshake.packetize(this, certificateVerify, new SSLStream(body)));
  }
}

/** The server as it is judged, and the client as it shows itself: what the SDK's handshake asks about certificates. */
class Parties implements CertificateManager {
  readonly guard: HandshakeGuard;
  readonly client: ClientIdentity;

  constructor(guard: HandshakeGuard, client: ClientIdentity) {
    this.guard = guard;
    this.client = client;
  }

  /** The guard has judged the chain before the SDK asks. */
  verify(): boolean {
    return this.guard.serverKey !== undefined;
  }

  register(): void {
    // The guard keeps the key.
  }

  findPreferredCert(): readonly Uint8Array[] {
    return this.client.certificates;
  }
}
