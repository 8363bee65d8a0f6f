// The parts of the Moddable SDK that this host calls, as narrow as it uses them.

declare function trace(...text: string[]): void;

interface BigIntConstructor {
  /** Unsigned, big-endian. */
  fromArrayBuffer(bytes: ArrayBuffer): bigint;
}

interface ArrayBufferConstructor {
  /** Unsigned, big-endian, padded on the left. */
  fromBigInt(value: bigint, minimumBytes: number): ArrayBuffer;
}

declare module "timer" {
  const Timer: {
    set(callback: () => void, delay?: number): object;
    repeat(callback: () => void, interval: number): object;
    clear(timer: object | undefined): void;
  };
  export default Timer;
}

declare module "time" {
  const Time: {
    readonly ticks: number;
    delta(start: number, end: number): number;
    /** The wall clock. */
    set(seconds: number): void;
  };
  export default Time;
}

declare module "net" {
  const Net: { resolve(host: string, callback: (host: string, address?: string) => void): void };
  export default Net;
}

declare module "mc/ffi" {
  /** Its methods are the functions that the manifest's `ffi` names. */
  const FFI: new () => object;
  export default FFI;
}

declare module "mc/config" {
  const config: Readonly<Record<string, unknown>>;
  export default config;
}

declare module "crypt" {
  export class Digest {
    constructor(algorithm: "SHA256" | "SHA384" | "SHA512");
    write(bytes: ArrayBuffer | Uint8Array): void;
    close(): ArrayBuffer;
    /** Of these parts alone: what was written before is forgotten. */
    process(...parts: (ArrayBuffer | Uint8Array)[]): ArrayBuffer;
  }
}

declare module "hmac" {
  import type { Digest } from "crypt";
  export default class HMAC {
    constructor(digest: Digest, key: ArrayBuffer | Uint8Array);
    process(...parts: (ArrayBuffer | Uint8Array)[]): ArrayBuffer;
  }
}

declare module "modular" {
  export default class Modular {
    constructor(modulus: bigint);
    mulinv(value: bigint): bigint;
    exp(base: bigint, exponent: bigint): bigint;
  }
}

declare module "mont" {
  import type Modular from "modular";

  /** By Montgomery's multiplication; the modulus is odd. */
  const Mont: {
    new (options: { readonly m: bigint; readonly method: number }): Modular;
    readonly prototype: { readonly LR: number };
  };
  export default Mont;
}

declare module "ecp" {
  export default class ECPoint {
    constructor(x: bigint, y: bigint);
    readonly X: bigint;
    readonly Y: bigint;
  }
}

declare module "curve" {
  import type ECPoint from "ecp";
  export default class Curve {
    constructor(name: "secp256r1" | "secp384r1");
    readonly G: ECPoint;
    readonly ec: {
      readonly a: bigint;
      readonly b: bigint;
      /** The prime of the field. */
      readonly m: bigint;
      mul(point: ECPoint, scalar: bigint): ECPoint;
    };
  }
}

declare module "ecdsa" {
  import type Curve from "curve";
  import type ECPoint from "ecp";
  export default class ECDSA {
    constructor(key: ECPoint, curve: Curve);
    /** @param signature both halves, each padded to the size of the order */
    verify(digest: ArrayBuffer, signature: ArrayBuffer): boolean;
  }
}

declare module "ssl/stream" {
  export default class SSLStream {
    constructor(bytes: Uint8Array);
  }
}

declare module "ssl/alert" {
  const alert: object;
  export default alert;
}

declare module "ssl/constants" {
  export const AES: number;
  export const ECDHE_RSA: number;
  export const GCM: number;
  export const SHA256: number;
}

declare module "ssl/handshake" {
  import type Session from "ssl/session";
  import type SSLStream from "ssl/stream";

  const handshake: {
    readonly certificateVerify: { calculateDigest(session: Session): ArrayBuffer };
    /** Takes one whole message; its digest is that of the handshake from then on. */
    unpacketize(session: Session, message: SSLStream): void;
    packetize(session: Session, type: number, body: SSLStream): Uint8Array;
  };
  export default handshake;
}

declare module "ssl/session" {
  import type { Digest } from "crypt";
  export interface SessionOptions {
    readonly serverName?: string;
    readonly protocolVersion: number;
    readonly cache: false;
    readonly tls_max_fragment_length: number;
    readonly applicationLayerProtocolNegotiation?: readonly string[];
  }
  /** What the session reads from and writes to. */
  export interface SessionStream {
    readable: number;
    writable: number;
    read(into: Uint8Array): void;
    write(bytes: Uint8Array): number;
  }
  export interface CertificateManager {
    verify(chain: readonly Uint8Array[]): boolean;
    register(certificate: ArrayBuffer): void;
    findPreferredCert(): readonly Uint8Array[];
  }
  export default class Session {
    constructor(options: SessionOptions);
    certificateManager: CertificateManager;
    readonly clientRandom: ArrayBuffer;
    /** What the server's key exchange has brought. */
    dhparams: { readonly named_curve: number; readonly dh_Ys: ArrayBuffer } | undefined;
    /** Of all messages of the handshake so far, by name; there once ServerHello is. */
    readonly handshakeDigests: Readonly<Record<string, Digest>>;
    readonly alert: { readonly level: number; readonly description: number } | undefined;
    readonly handshakeProcess: number;
    initiateHandshake(): void;
    /** @returns true when the handshake is over, or when an alert has ended it. */
    handshake(stream: SessionStream): boolean;
    /** @returns undefined when there is nothing yet, null when the peer has closed. */
    read(stream: SessionStream): Uint8Array | null | undefined;
    write(stream: SessionStream, bytes: Uint8Array): number;
    doProtocol(stream: SessionStream, protocol: object, first?: unknown, second?: unknown): void;
    readPacket(stream: SessionStream): Uint8Array | undefined;
  }
}

declare module "embedded:io/socket/tcp" {
  export interface TCPOptions {
    readonly address: string;
    readonly port: number;
    readonly nodelay?: boolean;
    onReadable(count: number): void;
    onWritable(count: number): void;
    onError(): void;
  }
  export default class TCP {
    constructor(options: TCPOptions);
    read(into: Uint8Array): number | undefined;
    /** @returns bytes that can still be written; undefined when the connection is broken. */
    write(bytes: Uint8Array): number | undefined;
    close(): void;
  }
}

declare module "embedded:io/socket/udp" {
  export interface Packet extends ArrayBuffer {
    readonly address: string;
    readonly port: number;
  }
  export default class UDP {
    constructor(options: { onReadable(count: number): void });
    /** @returns undefined when there is none left */
    read(): Packet | undefined;
    write(bytes: Uint8Array, address: string, port: number): void;
    close(): void;
  }
}

declare module "embedded:network/interface/wifi" {
  /** Has to be told to join again each time; tells no reasons. */
  export default class WiFi {
    constructor(options: { onChanged(property: "connection" | "address"): void });
    /** 200 out, 300 joining, 400 in, 500 in and with addresses. */
    readonly connection: number;
    readonly address: string | undefined;
    /** @throws while it is joining */
    connect(options: { readonly SSID: string; readonly password?: string }): void;
    disconnect(): void;
  }
}

declare module "embedded:network/mqtt/client" {
  import type { ControlMessage, ReadableInfo, WriteOptions } from "skerry/src/mqtt/client";

  interface Options {
    readonly host: string;
    readonly port: number;
    readonly id: string;
    readonly clean: boolean;
    /** Milliseconds. */
    readonly keepAlive: number;
    readonly user?: string;
    readonly password?: ArrayBuffer;
    readonly will?: {
      readonly topic: string;
      readonly message: ArrayBuffer;
      readonly QoS?: number;
      readonly retain?: boolean;
    };
    readonly dns: object;
    readonly socket: object;
    onControl(message: ControlMessage): void;
    onReadable(count: number, info: ReadableInfo): void;
    onWritable(count: number): void;
    onError(): void;
  }
  export default class Client {
    constructor(options: Options);
    read(count?: number): ArrayBuffer | undefined;
    write(bytes: Uint8Array | undefined, options?: WriteOptions): number;
    close(): void;
  }
}

declare module "embedded:storage/files" {
  interface File {
    read(count: number, position: number): ArrayBuffer;
    /** @returns bytes read, less than asked for at the file's end */
    read(into: Uint8Array, position: number): number;
    write(bytes: Uint8Array, position: number): void;
    status(): { readonly size: number };
    flush(): void;
    close(): void;
  }
  const files: {
    openFile(options: { path: string; mode: "r" | "r+" | "w" }): File;
    status(path: string): { readonly size: number; isFile(): boolean };
    createDirectory(path: string): boolean;
    delete(path: string): boolean;
    move(from: string, to: string): void;
  };
  export default files;
}

declare module "embedded:storage/key-value" {
  interface Domain {
    read(key: string): ArrayBuffer | undefined;
    write(key: string, value: Uint8Array): void;
    delete(key: string): void;
    close(): void;
  }
  const storage: { open(options: { path: string; format: "buffer"; mode?: "r" }): Domain };
  export default storage;
}

declare module "embedded:storage/flash" {
  interface Partition {
    status(): { readonly size: number; readonly blocks: number; readonly blockLength: number };
    /** Neither offsets nor lengths are checked. @returns the buffer's length */
    read(into: Uint8Array, byteOffset: number): number;
    write(bytes: Uint8Array, byteOffset: number): void;
    eraseBlock(first: number, end: number): void;
    close(): void;
  }
  const flash: { open(options: { path: string; mode: "r" | "r+" }): Partition };
  export default flash;
}
