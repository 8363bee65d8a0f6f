// The examiner's door to real devices: TLS on one port, with whatever certificate the case wants, every record looked at.
import { constants, X509Certificate } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { Identities, ServerName } from "./certificates.js";
import {
  alertName,
  type ClientHello,
  parseClientHello,
  RecordReader,
  recordType,
} from "./client-hello.js";
import type { DeviceLink, Examiner } from "./examiner.js";

/** One TCP connection, as far as it came. */
export interface Handshake {
  hello: ClientHello | undefined;
  /** The device's Finished was right. */
  isComplete: boolean;
  protocol: string | undefined;
  suite: string | undefined;
  hasClientCertificate: boolean;
  /** By the device. */
  alert: string | undefined;
  /** Bytes after the handshake. */
  hasSpoken: boolean;
  /** The longest record to the device, its content in bytes. */
  longestRecord: number;
  isOver: boolean;
}

export interface FrontOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly identities: Identities;
  /** Something has happened. */
  onChange(): void;
}

const handshakeMs = 20_000;
const lingerMs = 2000;

export class Front {
  /** Who is connected to; nobody: connections are dropped. */
  examiner: Examiner | undefined;
  readonly #options: FrontOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #contexts = new Map<ServerName, SecureContext>();

  private constructor(options: FrontOptions) {
    this.#options = options;
    this.#server = createServer(socket => this.#arrived(socket));
  }

  static async listen(options: FrontOptions): Promise<Front> {
    const front = new Front(options);
    await new Promise<void>((resolve, reject) => {
      front.#server.once("error", reject);
      front.#server.listen(options.port, options.host, resolve);
    });
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #contextOf(name: ServerName): SecureContext {
    const known = this.#contexts.get(name);
    if (known) return known;
    const { servers, trustAnchor } = this.#options.identities;
    const { certificate: cert, key } = servers[name];
    const context = createSecureContext({
      cert,
      key,
      ca: trustAnchor,
      minVersion: "TLSv1.2",
      // As AWS: every connect is a full handshake.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    this.#contexts.set(name, context);
    return context;
  }

  #arrived(socket: Socket): void {
    const { examiner } = this;
    if (!examiner || examiner.isAway) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    const handshake = newHandshake();
    examiner.handshakes.push(handshake);
    this.#options.onChange();
    const wire = tapped(socket, handshake);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      wire.destroy();
    });
    const secure = new TLSSocket(wire, {
      isServer: true,
      secureContext: this.#contextOf(examiner.presents),
      requestCert: true,
      // Who comes without one is examined all the same, and told so.
      rejectUnauthorized: false,
      ALPNProtocols: ["x-amzn-mqtt-ca"],
    });
    const timer = setTimeout(() => socket.destroy(), handshakeMs);
    secure.once("secure", () => {
      clearTimeout(timer);
      this.#secured(secure, socket, handshake, examiner);
    });
    secure.on("error", error => {
      handshake.alert ??= alertIn(error);
      socket.destroy();
    });
    secure.once("close", () => {
      clearTimeout(timer);
      socket.destroy();
      handshake.isOver = true;
      this.#options.onChange();
    });
  }

  #isOurs(secure: TLSSocket): boolean {
    const { publicKey } = new X509Certificate(this.#options.identities.trustAnchor);
    return secure.getPeerX509Certificate()?.verify(publicKey) ?? false;
  }

  #secured(secure: TLSSocket, socket: Socket, handshake: Handshake, examiner: Examiner): void {
    handshake.isComplete = true;
    handshake.protocol = secure.getProtocol() ?? undefined;
    handshake.suite = secure.getCipher().standardName;
    handshake.hasClientCertificate = this.#isOurs(secure);
    const handlers = examiner.take(linkTo(secure, socket));
    secure.on("data", bytes => {
      handshake.hasSpoken = true;
      handlers.receive(bytes);
      this.#options.onChange();
    });
    secure.once("end", () => handlers.closed());
    secure.once("close", () => handlers.closed());
    this.#options.onChange();
  }
}

function newHandshake(): Handshake {
  return {
    hello: undefined,
    isComplete: false,
    protocol: undefined,
    suite: undefined,
    hasClientCertificate: false,
    alert: undefined,
    hasSpoken: false,
    longestRecord: 0,
    isOver: false,
  };
}

/** The socket as a stream whose bytes are looked at on their way. */
function tapped(socket: Socket, handshake: Handshake): Duplex {
  const fromDevice = new RecordReader((type, content) => {
    if (type === recordType.handshake) handshake.hello ??= parseClientHello(content);
    // In TLS 1.3, and later in 1.2, alerts are encrypted: then OpenSSL tells.
    if (type === recordType.alert && !handshake.isComplete) handshake.alert ??= alertName(content);
  });
  const toDevice = new RecordReader((_type, content) => {
    handshake.longestRecord = Math.max(handshake.longestRecord, content.length);
  });
  const wire = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      toDevice.push(chunk);
      if (socket.destroyed) done();
      else socket.write(chunk, () => done());
    },
    final: done => {
      socket.end(() => done());
    },
  });
  socket.on("data", (chunk: Buffer) => {
    fromDevice.push(chunk);
    if (!wire.destroyed && !wire.push(chunk)) socket.pause();
  });
  socket.on("end", () => wire.push(null));
  socket.on("error", () => wire.destroy());
  wire.on("error", () => socket.destroy());
  return wire;
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA` names what the device has sent. */
function alertIn(error: Error): string | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return /^ERR_SSL_[A-Z0-9]+_ALERT_([A-Z_]+)$/.exec(code)?.[1]?.toLowerCase();
}

function linkTo(secure: TLSSocket, socket: Socket): DeviceLink {
  return {
    write: bytes => {
      if (!secure.destroyed && secure.writable) secure.write(bytes);
    },
    close: () => {
      secure.end();
      socket.setTimeout(lingerMs, () => socket.destroy());
    },
    abort: () => {
      socket.resetAndDestroy();
    },
  };
}
