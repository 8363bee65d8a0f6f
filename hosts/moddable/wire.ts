// The TCP socket as a TLS session takes it, with a queue for what the socket does not take at once.
import TCP from "embedded:io/socket/tcp";
import type { SessionStream } from "ssl/session";
import Timer from "timer";
import type { TLSSocketOptions } from "../../src/host.js";
import { concat } from "../../src/util/bytes.js";
import { guard, report } from "./guard.js";

export interface WireCallbacks {
  onReadable(): void;
  onWritable(): void;
  onError(): void;
}

/** Bytes in and out in order; what the socket cannot take now waits in memory. */
export class Wire implements SessionStream {
  readonly #tcp: TCP;
  #queue: Uint8Array[] = [];
  #isHeld = false;
  #isConnected = false;
  #isClosed = false;
  #isBroken = false;
  /** Bytes the socket takes now. */
  #free = 0;
  readable = 0;

  constructor(
    { address, port }: Pick<TLSSocketOptions, "address" | "port">,
    callbacks: WireCallbacks,
  ) {
    this.#tcp = new TCP({
      address,
      port,
      nodelay: true,
      onReadable: count => {
        this.readable = count;
        callbacks.onReadable();
      },
      onWritable: count => {
        this.#free = count;
        this.#isConnected = true;
        guard(
          () => this.#flush(),
          () => callbacks.onError(),
        );
        callbacks.onWritable();
      },
      onError: () => {
        this.#isBroken = true;
        callbacks.onError();
      },
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the socket has ever been connected. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Whether the socket has stopped taking bytes for good. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  get queued(): number {
    return this.#queue.reduce((sum, part) => sum + part.length, 0);
  }

  get writable(): number {
    return this.#free;
  }

  /** The session keeps an estimate here; the socket's own number is the one that counts. */
  set writable(_estimate: number) {}

  read(into: Uint8Array): void {
    this.#tcp.read(into);
    this.readable -= into.length;
  }

  write(bytes: Uint8Array): number {
    this.#queue.push(bytes);
    this.#flush();
    return this.#free;
  }

  /** Outside of the socket's own callbacks, which may still have something to look at. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.readable = 0;
    Timer.set(
      () =>
        guard(
          () => this.#tcp.close(),
          error => report("tcp", error),
        ),
      0,
    );
  }

  /** Sends what `work` writes as one piece, so that a peer has all of a flight before it answers or closes. */
  together<Result>(work: () => Result): Result {
    this.#isHeld = true;
    try {
      return work();
    } finally {
      this.#isHeld = false;
      this.#flush();
    }
  }

  #flush(): void {
    while (this.#free > 0 && this.#queue.length > 0 && !this.#isBroken && !this.#isHeld) {
      const bytes = concat(this.#queue);
      const part = bytes.subarray(0, this.#free);
      const free = this.#tcp.write(part);
      this.#isBroken = free === undefined;
      this.#free = free ?? 0;
      this.#queue = part.length === bytes.length ? [] : [bytes.subarray(part.length)];
    }
  }
}
