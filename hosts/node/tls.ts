// Mutual TLS on Node, with the callbacks of ECMA-419's TLS client socket.

import { createPrivateKey, sign, verify, X509Certificate } from "node:crypto";
import { connect as connectTCP, isIP, type Socket } from "node:net";
import * as nodeTLS from "node:tls";
import { AgentError, type ErrorCode } from "../../src/errors.js";
import type {
  Provider,
  SecureOptions,
  TLSSocket,
  TLSSocketConstructor,
  TLSSocketOptions,
} from "../../src/host.js";
import { validatePath } from "../../src/trust/path.js";
import { createCrypto } from "./crypto.js";

/** Bytes taken for sending before `write` says no more: about what a microcontroller's stack holds. */
const windowBytes = 16 * 1024;
/** Bytes that may wait to be read before the peer is slowed down. */
const highWaterBytes = 64 * 1024;
/** How long what was written may take to leave after `close`. */
const lingerMs = 2000;

/** What AWS IoT takes and recommends: AEAD after an ephemeral key exchange (developer guide, "transport-security"). */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
].join(":");

/** Alerts by which a server refuses a client's certificate. RFC 5246 7.2.2, RFC 8446 6.2 */
const aboutClient =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/;

export const tls: Provider<TLSSocketConstructor> = Object.freeze({
  io: class NodeTLSSocket implements TLSSocket {
    readonly #options: TLSSocketOptions;
    readonly #socket: nodeTLS.TLSSocket;
    readonly #arrived: Buffer[] = [];
    #arrivedBytes = 0;
    #writableBytes = 0;
    #ready = false;
    #over = false;
    #closed = false;
    /** Why the server was not believed. */
    #refusal: Error | undefined;

    /** @throws AgentError "agent/options" for a certificate or key that does not parse. */
    constructor(options: TLSSocketOptions) {
      this.#options = options;
      const { socket, refusal } = connect(options);
      this.#socket = socket;
      this.#socket.on("secureConnect", () => {
        this.#refusal = refusal();
        if (this.#refusal) {
          this.#end(this.#refusal);
          return;
        }
        this.#ready = true;
        this.#announce();
      });
      this.#socket.on("data", chunk => this.#receive(chunk));
      this.#socket.on("end", () => this.#end(undefined));
      this.#socket.on("error", cause => this.#end(cause));
      this.#socket.on("close", () => this.#end(undefined));
    }

    read(count = this.#arrivedBytes): ArrayBuffer | undefined {
      const length = Math.min(count, this.#arrivedBytes);
      if (length <= 0) return undefined;
      const bytes = new Uint8Array(length);
      for (let offset = 0; offset < length; ) offset += this.#take(bytes, offset);
      this.#arrivedBytes -= length;
      if (this.#arrivedBytes < highWaterBytes && this.#socket.isPaused()) this.#socket.resume();
      return bytes.buffer;
    }

    write(bytes: Uint8Array): number {
      if (this.#over || this.#closed) {
        throw new AgentError("connection/lost", `tls: ${this.#name}: written after its end`);
      }
      if (bytes.length > this.#writableBytes) {
        const room = `${this.#writableBytes} announced`;
        throw new AgentError("agent/fault", `tls: ${bytes.length} bytes written, ${room}`);
      }
      if (bytes.length > 0) {
        // The caller may use its buffer again at once.
        this.#socket.write(Buffer.from(bytes), () => this.#flushed());
        this.#writableBytes -= bytes.length;
      }
      return this.#writableBytes;
    }

    close(): void {
      if (this.#closed) return;
      this.#closed = true;
      this.#arrived.length = 0;
      if (!this.#ready || this.#over) {
        this.#socket.destroy();
        return;
      }
      // What was written still leaves (a DISCONNECT, as a rule); a peer that takes nothing is cut off.
      this.#socket.resume();
      this.#socket.setTimeout(lingerMs, () => this.#socket.destroy());
      this.#socket.destroySoon();
    }

    get #name(): string {
      return `${this.#options.host}:${this.#options.port}`;
    }

    #receive(chunk: Buffer): void {
      if (this.#closed || this.#over) return;
      this.#arrived.push(chunk);
      this.#arrivedBytes += chunk.length;
      if (this.#arrivedBytes >= highWaterBytes) this.#socket.pause();
      this.#options.onReadable?.(this.#arrivedBytes);
    }

    /** Moves bytes from the oldest piece to `target`. @returns how many. */
    #take(target: Uint8Array, offset: number): number {
      const piece = this.#arrived[0]!;
      const part = piece.subarray(0, target.length - offset);
      target.set(part, offset);
      if (part.length === piece.length) this.#arrived.shift();
      else this.#arrived[0] = piece.subarray(part.length);
      return part.length;
    }

    #flushed(): void {
      if (this.#socket.writableLength === 0 && this.#writableBytes < windowBytes) this.#announce();
    }

    #announce(): void {
      if (this.#closed || this.#over) return;
      this.#writableBytes = windowBytes;
      this.#options.onWritable?.(windowBytes);
    }

    #end(cause: Error | undefined): void {
      if (this.#closed || this.#over) return;
      this.#over = true;
      const reason = cause?.message ?? (this.#ready ? "closed by the peer" : "refused");
      const message = `tls: ${this.#name}: ${reason}`;
      this.#options.onError?.(new AgentError(this.#codeOf(cause), message, { cause }));
    }

    #codeOf(cause: Error | undefined): ErrorCode {
      if (cause === undefined) return "connection/lost";
      if (cause === this.#refusal) return "connection/untrusted";
      const { code = "" } = cause as NodeJS.ErrnoException;
      return aboutClient.test(code) ? "connection/refused" : "connection/lost";
    }
  },
});

interface Connecting {
  readonly socket: nodeTLS.TLSSocket;
  /** Asked once the server has shown who it is, before anything is read or written. @returns why it is refused, which it is told */
  refusal(): Error | undefined;
}

function connect(options: TLSSocketOptions): Connecting {
  const { secure } = options;
  const name = secure.serverName ?? options.host;
  const protocols = secure.applicationLayerProtocolNegotiation;
  try {
    const secureContext = secureContextOf(secure);
    const tcp = connectTCP({ host: options.address, port: options.port });
    let verdict: Error | "believed" | undefined;
    const socket = nodeTLS.connect({
      socket: tcp,
      secureContext,
      // An address has no place in SNI; the certificate is matched against it all the same.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      // Called once OpenSSL has believed the chain.
      checkServerIdentity: (_, certificate) => {
        const reason =
          nodeTLS.checkServerIdentity(name, certificate) ?? judgeServer(certificate, secure, name);
        verdict = reason ?? "believed";
        return reason;
      },
      ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
      // Node would only hang up: the refusal is made here, where the server can be told.
      rejectUnauthorized: false,
    });
    return {
      socket,
      refusal: () => {
        // Both have to have said so: Node asks the second only where it has to.
        if (socket.authorized && verdict === "believed") return undefined;
        const unjudged = socket.authorizationError ?? "nobody has judged the server";
        const refusal = verdict instanceof Error ? verdict : new Error(String(unjudged));
        sayWhy(tcp, socket, alertOf(refusal));
        return refusal;
      },
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError("agent/options", `tls: ${options.host}: ${reason}`, { cause });
  }
}

/**
 * Ends with a fatal alert. In TLS 1.3 our Finished has not left yet, and a server takes an alert in the clear until it has; a
 * server of TLS 1.2 has seen it, and gets the close_notify of an orderly end.
 */
function sayWhy(tcp: Socket, socket: nodeTLS.TLSSocket, description: number): void {
  if (socket.getProtocol() === "TLSv1.3") {
    tcp.write(Uint8Array.of(21, 3, 3, 0, 2, 2, description));
    socket.destroy();
  } else socket.destroySoon();
  tcp.end();
}

/** @see RFC 8446 6.2 */
function alertOf(refusal: Error): number {
  const { code = refusal.message } = refusal as { code?: string };
  if (/expired|not-yet-valid|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(code)) return 45;
  return /unknown-authority|UNABLE_TO|SELF_SIGNED/.test(code) ? 48 : 42;
}

/** The agent's own verdict, the same as on every engine; OpenSSL's has come before. @returns why the server is refused */
function judgeServer(
  certificate: nodeTLS.PeerCertificate,
  { trustAnchors, now }: SecureOptions,
  serverName: string,
): Error | undefined {
  try {
    const chain = chainOf(certificate);
    const question = { chain, anchors: trustAnchors, serverName, now };
    validatePath({ ...question, purpose: "server", crypto: createCrypto() });
    return undefined;
  } catch (error) {
    // Whatever it was: an exception here would end the process.
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** From the server's own certificate to the last issuer that OpenSSL has found, which names itself. */
function chainOf(certificate: Partial<nodeTLS.DetailedPeerCertificate>): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let current: Partial<nodeTLS.DetailedPeerCertificate> | undefined = certificate;
  while (current?.raw !== undefined) {
    chain.push(new Uint8Array(current.raw));
    current = current.issuerCertificate === current ? undefined : current.issuerCertificate;
  }
  return chain;
}

/** An empty `ca` is given as such: Node would put its own roots in the place of an absent one. */
function secureContextOf(secure: SecureOptions): nodeTLS.SecureContext {
  const certificates = secure.clientCertificates.map(der => new X509Certificate(der));
  return nodeTLS.createSecureContext({
    ca: secure.trustAnchors.map(toPem),
    ...(certificates[0] === undefined ? {} : identityOf(certificates, secure.clientKey)),
    minVersion: "TLSv1.2",
    ciphers,
  });
}

function identityOf(certificates: readonly X509Certificate[], der: Uint8Array) {
  const key = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
  // OpenSSL compares public keys, and believes the one that came with a private key: only a signature tells.
  const probe = Buffer.from("skerry");
  if (!verify("sha256", probe, certificates[0]!.publicKey, sign("sha256", probe, key))) {
    throw new Error("client key does not belong to the client certificate");
  }
  return {
    cert: certificates.map(String).join(""),
    key: key.export({ format: "pem", type: "pkcs8" }),
  };
}

/** Parsed here: OpenSSL passes over a trust anchor that it cannot read. */
function toPem(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}
