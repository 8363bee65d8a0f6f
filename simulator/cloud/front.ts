// The mutual-TLS listener in front of the broker (developer guide "transport-security", "protocols").

import { constants, type X509Certificate } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";
import { certificateId, type PemIdentity } from "./authority.js";
import type { Acceptor, Link, Peer, RefusalReason } from "./broker-types.js";
import { CloudError, messageOf, systemCode } from "./errors.js";
import type { CertificateRefusal } from "./registry.js";

export interface FrontOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly server: PemIdentity;
  /** Whose client certificates are let through the handshake, PEM. */
  readonly trustAnchors: readonly string[];
  refusal(peer: Peer): CertificateRefusal | undefined;
  accept(link: Link, peer: Peer): Acceptor;
  onRefused(reason: RefusalReason, detail: string, peer: Peer): void;
}

/** Bytes waiting for a slow reader: above the first QoS 0 is dropped, above the second the socket ends. */
const congestedBytes = 1_048_576;
/** A full in-flight window of 100 messages of 128 KB, and some. */
const overflowBytes = 16_777_216;
const handshakeTimeoutMs = 20_000;
const lingerMs = 5_000;
/** How long the last words may take when everything ends. */
const shutdownMs = 500;

export class Front {
  readonly #options: FrontOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isRefusing = false;

  private constructor(options: FrontOptions) {
    this.#options = options;
    this.#server = createServer({
      ...this.#secureContext(options.trustAnchors),
      requestCert: true,
      rejectUnauthorized: true,
      // AWS's own SDKs offer this protocol on every port.
      ALPNProtocols: ["x-amzn-mqtt-ca"],
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.#server.on("connection", socket => this.#arrived(socket));
    this.#server.on("secureConnection", socket => this.#secured(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#failed(error, socket));
  }

  /** @throws CloudError "cloud/port-in-use", "cloud/cannot-listen" */
  static async listen(options: FrontOptions): Promise<Front> {
    const front = new Front(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      front.#server.once("error", cause => reject(listenError(host, port, cause)));
      front.#server.listen(port, host, resolve);
    });
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Other authorities from the next connection on. */
  trust(trustAnchors: readonly string[]): void {
    this.#server.setSecureContext(this.#secureContext(trustAnchors));
  }

  /** While true, new connections are dropped before TLS; existing ones stay. */
  refuse(on: boolean): void {
    this.#isRefusing = on;
  }

  /** Sockets that were told to close may finish what was written to them; soon after, none is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, shutdownMs);
    await closed;
    clearTimeout(timer);
  }

  #secureContext(trustAnchors: readonly string[]): SecureContextOptions {
    return {
      key: this.#options.server.key,
      cert: this.#options.server.certificate,
      ca: [...trustAnchors],
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      // AWS supports no session tickets: every connect is a full handshake ("transport-security").
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
  }

  #arrived(socket: Socket): void {
    if (this.#isRefusing) {
      this.#options.onRefused("REFUSING_CONNECTIONS", "", peerOf(socket, undefined));
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.setNoDelay(true);
  }

  #failed(error: Error, socket: TLSSocket): void {
    this.#options.onRefused("TLS_HANDSHAKE_FAILED", error.message, peerOf(socket, undefined));
    socket.destroy();
  }

  /** The chain holds; the registry decides, as AWS does, and a refused client sees a closed socket. */
  #secured(socket: TLSSocket): void {
    socket.on("error", () => socket.destroy());
    const certificate = socket.getPeerX509Certificate();
    const id = certificate === undefined ? "" : certificateId(certificate.raw);
    const peer = { ...peerOf(socket, id), ...firstContact(socket, certificate) };
    const refusal = this.#options.refusal(peer);
    if (refusal !== undefined) {
      this.#options.onRefused(refusal, "", peer);
      socket.destroy();
      return;
    }
    const acceptor = this.#options.accept(linkTo(socket), peer);
    socket.on("data", bytes => acceptor.receive(bytes));
    socket.on("end", () => acceptor.closed());
    socket.once("close", () => acceptor.closed());
  }
}

function peerOf(socket: Socket, id: string | undefined): Peer {
  return { certificateId: id, address: socket.remoteAddress ?? "" };
}

/** Just-in-time registration needs the certificate itself, and a server name ("jit-provisioning"). */
function firstContact(
  { servername }: TLSSocket & { readonly servername?: string | false | null },
  certificate: X509Certificate | undefined,
): Pick<Peer, "certificatePem"> {
  return certificate === undefined || !servername ? {} : { certificatePem: certificate.toString() };
}

function linkTo(socket: TLSSocket): Link {
  return {
    write: bytes => {
      if (socket.destroyed || !socket.writable) return;
      socket.write(bytes);
      if (socket.writableLength > overflowBytes) socket.destroy();
    },
    // A peer that neither reads nor ends its side must not keep ours open.
    close: () => {
      socket.end(() => socket.destroy());
      socket.setTimeout(lingerMs, () => socket.destroy());
    },
    abort: () => {
      socket.destroy();
    },
    congested: () => socket.writableLength > congestedBytes,
  };
}

/** Why a port of this machine cannot be listened on. */
export function listenError(host: string, port: number, cause: Error): CloudError {
  const where = `${host}:${port}`;
  if (systemCode(cause) === "EADDRINUSE") {
    const message = `The local cloud cannot listen on ${where}: port ${port} is already in use.`;
    return new CloudError("cloud/port-in-use", message, { cause });
  }
  const why = systemCode(cause) ?? messageOf(cause);
  const message = `The local cloud cannot listen on ${where} (${why}).`;
  return new CloudError("cloud/cannot-listen", message, { cause });
}
