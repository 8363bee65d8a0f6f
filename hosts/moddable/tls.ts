// The mutual-TLS byte stream: one TCP socket, one guarded session, bounded buffers on both sides.
import Timer from "timer";
import type { TLSSocketOptions, TLSSocket as TLSStream } from "../../src/host.js";
import { guard, report } from "./guard.js";
import { fragmentBytes, GuardedSession } from "./session.js";
import { alerts, asStreamError, TLSError } from "./tls-error.js";
import { Wire } from "./wire.js";

/** Room for what one record adds to what it carries. */
const overheadBytes = 64;

type State = "handshake" | "open" | "over";

/** @see src/host.ts for the promises. What one of the callbacks has thrown goes to `onError` as it is. */
export class TLSSocket implements TLSStream {
  /** Without keys and certificates, which nobody needs once the handshake is over. */
  readonly #options: Omit<TLSSocketOptions, "secure">;
  readonly #session: GuardedSession;
  readonly #wire: Wire;
  readonly #inbox: Uint8Array[] = [];
  #state: State = "handshake";
  #announced = 0;
  #later: object | undefined;
  /** Why the stream is over, once it is. */
  #ending: unknown;

  /** @throws when an option is out of bounds or no socket is left */
  constructor(options: TLSSocketOptions) {
    const { secure, ...kept } = options;
    this.#options = kept;
    this.#session = new GuardedSession(secure, kept.host);
    this.#wire = new Wire(kept, {
      onReadable: () => this.#guarded(() => this.#pump()),
      onWritable: () => this.#guarded(() => this.#drained()),
      onError: () =>
        this.#guarded(() => {
          const { address, port } = kept;
          const unreachable = `${address}:${port} cannot be reached`;
          const reason = this.#wire.isConnected ? "connection closed or reset" : unreachable;
          this.#end(new TLSError(undefined, reason));
        }),
    });
  }

  read(count = Number.POSITIVE_INFINITY): ArrayBuffer | undefined {
    const length = Math.min(count, this.#unread);
    if (!(length > 0)) return undefined;
    const result = new Uint8Array(length);
    let at = 0;
    while (at < length) {
      const first = this.#inbox[0]!;
      const part = first.subarray(0, length - at);
      result.set(part, at);
      at += part.length;
      if (part.length === first.length) this.#inbox.shift();
      else this.#inbox[0] = first.subarray(part.length);
    }
    const isMore = this.#wire.readable > 0 || this.#ending !== undefined;
    if (this.#inbox.length === 0 && isMore) this.#soon();
    return result.buffer;
  }

  write(bytes: Uint8Array): number {
    if (this.#state !== "open" || this.#ending !== undefined) throw new Error("TLS: not open");
    if (bytes.length > this.#announced) {
      throw new RangeError(`TLS: ${bytes.length} bytes, ${this.#announced} can be written`);
    }
    if (bytes.length > 0) this.#ask(() => this.#session.write(this.#wire, bytes));
    if (this.#wire.isBroken) {
      this.#ending = new TLSError(undefined, "connection is broken");
      this.#soon();
    }
    this.#announced = this.#room;
    return this.#announced;
  }

  close(): void {
    if (this.#state === "over" && this.#wire.isClosed) return;
    if (this.#state === "open") {
      guard(
        () => this.#session.sendAlert(this.#wire, alerts.closeNotify),
        error => report("tls", error),
      );
    }
    this.#state = "over";
    this.#release();
  }

  get #unread(): number {
    return this.#inbox.reduce((sum, part) => sum + part.length, 0);
  }

  get #room(): number {
    return Math.max(0, fragmentBytes - this.#wire.queued - overheadBytes);
  }

  #guarded(action: () => void): void {
    guard(
      () => {
        if (this.#state !== "over") action();
      },
      error => this.#fail(error),
    );
  }

  /** Takes what has arrived as far as the inbox allows. */
  #pump(): void {
    if (this.#state === "handshake") this.#shake();
    if (this.#state !== "open") return;
    const before = this.#unread;
    guard(
      () => this.#receive(),
      error => {
        this.#ending ??= error;
      },
    );
    if (this.#unread > before) this.#options.onReadable?.(this.#unread);
    if (this.#ending !== undefined) this.#end(this.#ending);
  }

  #receive(): void {
    while (this.#unread < fragmentBytes && this.#ending === undefined) {
      const bytes = this.#ask(() => this.#session.read(this.#wire));
      if (bytes === null) throw new TLSError(undefined, "server closed the connection");
      if (bytes === undefined) return;
      if (bytes.length > 0) this.#inbox.push(bytes);
    }
  }

  /** The stream is over as soon as what has arrived before has been read. */
  #end(reason: unknown): void {
    this.#ending ??= reason;
    if (this.#inbox.length === 0) this.#fail(this.#ending);
  }

  #shake(): void {
    for (;;) {
      const { readable } = this.#wire;
      const { handshakeProcess } = this.#session;
      const isOver = this.#ask(() =>
        this.#wire.together(() => this.#session.handshake(this.#wire)),
      );
      const { alert } = this.#session;
      if (alert !== undefined) {
        const received = alert.description;
        throw new TLSError(undefined, "server ended the handshake", { received });
      }
      if (isOver) break;
      if (readable === this.#wire.readable && handshakeProcess === this.#session.handshakeProcess) {
        if (this.#wire.isBroken) throw new TLSError(undefined, "connection is broken");
        return;
      }
    }
    this.#session.open();
    this.#state = "open";
    this.#announce();
  }

  #drained(): void {
    if (this.#state === "handshake") this.#pump();
    else if (this.#wire.queued === 0 && this.#announced < this.#room) this.#announce();
  }

  #announce(): void {
    this.#announced = this.#room;
    if (this.#announced > 0) this.#options.onWritable?.(this.#announced);
  }

  #soon(): void {
    this.#later ??= Timer.set(() => {
      this.#later = undefined;
      this.#guarded(() => this.#pump());
    }, 0);
  }

  #fail(error: unknown): void {
    if (this.#state === "over") return;
    const { host, port } = this.#options;
    const description = error instanceof TLSError ? error.alert : alerts.internalError;
    this.#state = "over";
    guard(
      () => {
        if (description !== undefined && !this.#wire.isBroken) {
          this.#session.sendAlert(this.#wire, description);
        }
      },
      second => report("tls", second),
    );
    this.#release();
    guard(
      () => this.#options.onError?.(asStreamError(error, `${host}:${port}`)),
      second => report("tls", second),
    );
  }

  #ask<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (cause) {
      throw this.#explain(cause);
    }
  }

  /** What the SDK throws says neither who was wrong nor what the peer should be told. */
  #explain(cause: unknown): TLSError {
    if (cause instanceof TLSError) return cause;
    const received = this.#session.alert?.description;
    if (received !== undefined) {
      return new TLSError(undefined, `server sent alert ${received}`, { cause, received });
    }
    if (this.#state === "handshake") {
      const what = this.#session.isSealed
        ? "Finished is not right"
        : "handshake cannot be completed";
      return new TLSError("decryptError", what, { cause });
    }
    return new TLSError("badRecordMac", "record cannot be read", { cause });
  }

  #release(): void {
    Timer.clear(this.#later);
    this.#later = undefined;
    this.#inbox.length = 0;
    this.#wire.close();
  }
}
