// What the agent needs from the machine it runs on. Types only: nothing here runs.
// Interfaces that ECMA-419 defines keep its names and callback rules; the others are ours.
// No callback is ever called from inside the call that registered it, nor after `close`.

/** Everything a host gives, handed in through the options and never kept in a module variable. */
export interface Host {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly crypto: Crypto;
  readonly system: System;
  /** Name resolution by the platform's own resolver. */
  readonly dns: Provider<ResolverConstructor>;
  /** The mutual-TLS byte stream. */
  readonly tls: Provider<TLSSocketConstructor>;
  readonly keyValue: KeyValueProvider;
  /** Partitions of raw flash, where the machine has them. */
  readonly flash?: FlashProvider;
  /** Two slots for the firmware, where the machine has them; the one that does not run is the partition `nextota` of `flash`. */
  readonly update?: Update;
}

/** ECMA-419 "the class to use travels in the options": `io` is constructed with the rest spread in. */
export interface Provider<Constructor> {
  readonly io: Constructor;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back, counts through wall-clock changes. */
  ticks(): number;
  /** Wall clock in epoch milliseconds; undefined until it has been set from a source the host trusts. */
  now(): number | undefined;
}

/** A pending timer; its content is the host's. */
export type TimerHandle = object;

export interface Timer {
  /** Calls back once, no earlier than `delayMs` (>= 0) from now. */
  set(callback: () => void, delayMs: number): TimerHandle;
  /** Calls back every `intervalMs` (> 0) until cleared. */
  repeat(callback: () => void, intervalMs: number): TimerHandle;
  /** Never throws; undefined, a handle that has fired and one cleared before are harmless. */
  clear(handle: TimerHandle | undefined): void;
}

export interface KeyPair {
  /** PKCS#8 PrivateKeyInfo, DER, or whatever the host's `sign` and TLS take in its place (a secure element's handle). */
  readonly privateKey: Uint8Array;
  /** P-256 point, uncompressed: 0x04, x, y; 65 bytes. */
  readonly publicKey: Uint8Array;
}

export type HashName = "SHA-256" | "SHA-384" | "SHA-512";
export type CurveName = "P-256" | "P-384";

export interface Crypto {
  /** @returns `byteLength` (1 to 256) bytes from the system generator. @throws when the generator is not ready: never returns weak bytes. */
  random(byteLength: number): Uint8Array;
  /** @returns 32, 48 or 64 bytes. */
  digest(hash: HashName, bytes: Uint8Array): Uint8Array;
  /** A digest of what comes in parts. */
  startDigest(hash: HashName): RunningDigest;
  /** A new P-256 key pair from the system generator. May block for some hundred milliseconds on a small device. */
  generateKeyPair(): KeyPair;
  /** ECDSA with SHA-256 over `message` (unhashed). @returns the signature as DER `SEQUENCE { r, s }`. */
  sign(privateKey: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * ECDSA over `message` (unhashed); of a digest longer than the order its left-most bits count.
   *
   * @param publicPoint  0x04, x, y, each as long as the order; one that is not on the curve is answered with false
   * @param r            big-endian, as long as the order; the caller has checked that it is from 1 to the order less one
   * @param s            as `r`
   */
  verifyEcdsa(
    curve: CurveName,
    publicPoint: Uint8Array,
    hash: HashName,
    message: Uint8Array,
    r: Uint8Array,
    s: Uint8Array,
  ): boolean;
  /** As `verifyEcdsa`, over what `digest` or `startDigest` has made of the message: 32, 48 or 64 bytes. */
  verifyEcdsaDigest(
    curve: CurveName,
    publicPoint: Uint8Array,
    digest: Uint8Array,
    r: Uint8Array,
    s: Uint8Array,
  ): boolean;
  /**
   * `input ** exponent % modulus`, all big-endian; pads and unpads nothing.
   *
   * @param modulus   odd, 2048 to 4096 bits, without leading zeros
   * @param exponent  odd, 65537 to 2 ** 32 - 1, without leading zeros
   * @param input     as long as the modulus and below it
   * @returns         as long as the modulus
   */
  rsaPublic(modulus: Uint8Array, exponent: Uint8Array, input: Uint8Array): Uint8Array;
}

export interface RunningDigest {
  write(bytes: Uint8Array): void;
  /** Once, as the last call. @returns 32, 48 or 64 bytes */
  close(): Uint8Array;
}

export interface System {
  /** Unique and stable for this board, 1 to 64 characters of `[A-Za-z0-9_-]`. */
  readonly id: string;
  /** Why the machine started, where the platform tells; power that came back, comes back for the neighbours too. */
  readonly resetReason?: "powerOn" | "restart" | "watchdog" | "deepSleep" | "other" | undefined;
  /** Restarts the machine; does not return on a device. */
  restart(): void;
  /**
   * Deep sleep; absent where the machine has none. What is in memory is lost, and the program starts anew after `delayMs` (>= 0),
   * or earlier when something else wakes the machine. Does not return on a device.
   */
  readonly sleep?: (delayMs: number) => void;
  /** Absent where no memory survives deep sleep. */
  readonly retained?: Retained;
  /** Bytes left for JavaScript, or undefined where the platform cannot tell. */
  freeHeapBytes(): number | undefined;
}

/** At least 64 bytes that survive deep sleep and a restart, but no loss of power: then anything may stand there. No flash. */
export interface Retained {
  /** @returns what was written last, perhaps followed by other bytes; anything, or undefined, when nothing was. */
  read(): Uint8Array | undefined;
  /** @param bytes 1 to 64. A restart in the middle leaves any part of it. */
  write(bytes: Uint8Array): void;
}

// -- name resolution (ECMA-419 "Domain Name Resolver") --

export interface ResolveOptions {
  readonly host: string;
  /**
   * Called once for each request.
   *
   * @param address  one dotted IPv4 or IPv6 text
   * @param others   the name's further addresses, in the order to try them, where the platform tells them
   */
  onResolved(host: string, address: string, others?: readonly string[]): void;
  onError(host: string, error?: unknown): void;
}

export interface Resolver {
  /** A literal address resolves to itself. Either callback is called exactly once unless closed first. */
  resolve(options: ResolveOptions): void;
  close(): void;
}

export type ResolverConstructor = new (options: object) => Resolver;

// -- mutual TLS (ECMA-419 "TLS client socket") --

export interface SecureOptions {
  /** DER certificates the server's chain must end in; nothing else is trusted. */
  readonly trustAnchors: readonly Uint8Array[];
  /** DER, the device's own certificate first. None: the client shows none, which is for a server that does not insist on one. */
  readonly clientCertificates: readonly Uint8Array[];
  /** As `KeyPair.privateKey`; not looked at without a certificate, and may be empty then. */
  readonly clientKey: Uint8Array;
  /** Name for SNI and for the match with the server's certificate; default `host`. */
  readonly serverName?: string;
  readonly applicationLayerProtocolNegotiation?: readonly string[];
  /** Epoch ms at which the server's certificates have to be valid. */
  readonly now: number;
}

export interface TLSSocketOptions {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly secure: SecureOptions;
  /** `count` bytes can be read; called again only after more have arrived. */
  onReadable?(count: number): void;
  /** `count` bytes can be written; the first call means the handshake is complete and the server was authenticated. */
  onWritable?(count: number): void;
  /**
   * The stream is over, cleanly or not, also when the handshake was refused; after it only `close` is left.
   *
   * @param error  an AgentError "connection/untrusted" when the server was not believed, "connection/refused" when it sent an
   *               alert about the client's certificate; anything else is the network
   */
  onError?(error?: unknown): void;
}

export interface TLSSocket {
  /** @returns up to `count` of the bytes that have arrived (all when absent), or undefined when there are none. */
  read(count?: number): ArrayBuffer | undefined;
  /** Takes all of `bytes` or throws when more than announced. @returns what can still be written now. */
  write(bytes: Uint8Array): number;
  /** Never throws, may be called twice, cancels every callback. */
  close(): void;
}

export type TLSSocketConstructor = new (options: TLSSocketOptions) => TLSSocket;

// -- persistent storage (ECMA-419 "key-value") --

export interface KeyValueProvider {
  /** @param options.path name of the domain, 1 to 15 characters of `[a-z0-9.-]` (the bound of ESP32's NVS). */
  open(options: { readonly path: string }): KeyValue;
}

/**
 * Named byte strings on flash. Keys are 1 to 15 characters of `[a-z0-9.-]`, values 0 to 4000 bytes.
 *
 * A `write` or `delete` that has returned survives a power cut; one that was cut off leaves the old value or the new, never
 * another. @throws when the medium refuses (full, worn, not mounted): the old value is then still there.
 */
export interface KeyValue {
  read(key: string): ArrayBuffer | undefined;
  write(key: string, value: Uint8Array): void;
  /** No error when the key is absent. */
  delete(key: string): void;
  close(): void;
}

// -- raw flash (ECMA-419 "storage/flash") --

export interface FlashProvider {
  /**
   * @param options.path  label of a data partition, 1 to 16 characters of `[a-z0-9_-]` (the bound of ESP32's partition table)
   * @param options.mode  "r" refuses to write and erase; default "r+"
   * @throws              when the host has no such partition
   */
  open(options: { readonly path: string; readonly mode?: "r" | "r+" }): Flash;
}

/**
 * A partition of NOR flash: erasing turns every bit of a block to 1, writing only turns bits to 0. Offsets count from the
 * partition's start; what reaches outside throws, and nothing of a read or a write of that kind is done. What has returned survives
 * a power cut; what was cut off has done any part of its work. `write` and `eraseBlock` block, an erase for some tens of
 * milliseconds, and throw when the medium refuses.
 */
export interface Flash {
  status(): FlashStatus;
  /** A number of bytes, or as many as the buffer takes: then @returns how many. */
  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  /** Offset and length are multiples of `writeAlign`. A bit that is 0 stays 0: to write a 1 over it throws, and writes nothing. */
  write(bytes: Uint8Array, byteOffset: number): void;
  /** Erases the blocks from `first` up to but not including `end`; one when `end` is absent. */
  eraseBlock(first: number, end?: number): void;
  /** May be called twice. */
  close(): void;
}

export interface FlashStatus {
  /** Bytes: `blocks` times `blockLength`. */
  readonly size: number;
  readonly blocks: number;
  /** Bytes that are erased together. */
  readonly blockLength: number;
  /** Absent where the host takes any offset and length (Moddable's esp32 module, without flash encryption). */
  readonly writeAlign?: number | undefined;
  /** What an erased byte reads as; absent is 0xFF. */
  readonly eraseValue?: number | undefined;
}

// -- updates of the firmware (ECMA-419 "update" has `complete`; trial, confirmation and the way back are ours) --

/**
 * Two slots for the firmware's image. One runs; the other is the partition `nextota` of `Host.flash`, which holds whatever was
 * written there last. All of it survives restarts and power cuts: a call that was cut off has done its work, or none.
 */
export interface Update {
  /** The slot that runs, 1 to 16 characters; the same name for the same slot, whenever it runs. */
  readonly running: string;
  /** Whether the running image is on trial: unless `confirm` is called first, any restart runs the one before. */
  readonly isOnTrial: boolean;
  /** Whether the image in `nextota` was on trial and has not been confirmed: it does not start again until `complete` says so. */
  readonly hasReverted: boolean;
  /** What the image in `nextota` says of itself; nothing where the platform's images say nothing. Not to be trusted by itself. */
  describe(): ImageDescription | undefined;
  /**
   * From the next start on the image in `nextota` runs, on trial.
   *
   * @throws AgentError "ota/image" when the platform sees that it cannot run, "storage/write" when the medium refuses,
   *         "agent/illegal-event" while the running image is on trial: the running image stays the one that starts
   */
  complete(): void;
  /** The running image stays. @throws AgentError "storage/write": it is still on trial then */
  confirm(): void;
  /**
   * Gives up the running image, which is on trial, and restarts into the one before; does not return on a device.
   *
   * @throws AgentError "agent/illegal-event" when it is not on trial, "ota/image" when there is nothing to go back to,
   *         "storage/write" when the medium refuses: it is still on trial then
   */
  revert(): void;
}

export interface ImageDescription {
  readonly version?: string | undefined;
  readonly product?: string | undefined;
}
