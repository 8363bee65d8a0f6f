// One TLS connection to a server of files, without a client certificate: dialed, written to, read from.
import { AgentError } from "../errors.js";
import type { Host, Resolver, TimerHandle, TLSSocket } from "../host.js";
import { limits } from "../limits.js";
import { asLinkError } from "../mqtt/link-error.js";
import { concat } from "../util/bytes.js";
import type { Door } from "../wiring.js";

export interface HttpsLinkOptions {
  readonly door: Door;
  readonly host: Pick<Host, "dns" | "tls" | "timer">;
  readonly name: string;
  readonly port: number;
  readonly trustAnchors: readonly Uint8Array[];
  /** Epoch ms at which the server's certificates have to be valid. */
  readonly now: number;
  onOpen(): void;
  /** There is something to read: until `read` has nothing more, nobody calls again. */
  onReadable(): void;
  /** It is over; what has arrived may still be read. */
  onLost(error: AgentError): void;
}

export class HttpsLink {
  readonly #options: HttpsLinkOptions;
  #resolver: Resolver | undefined;
  #addresses: readonly string[] = [];
  #socket: TLSSocket | undefined;
  #deadline: TimerHandle | undefined;
  #state: "dialing" | "open" | "lost" | "closed" = "dialing";
  #writable = 0;
  #unsent: Uint8Array = new Uint8Array(0);

  /** @throws what the host throws when it cannot even begin */
  constructor(options: HttpsLinkOptions) {
    this.#options = options;
    this.within(limits.resolveMs, "no address");
    try {
      this.resolve(options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private resolve({ host, name }: HttpsLinkOptions): void {
    this.#resolver = new host.dns.io(host.dns);
    this.#resolver.resolve({
      host: name,
      onResolved: (_, address, others = []) =>
        this.enter(() => {
          this.#resolver?.close();
          this.#resolver = undefined;
          this.#addresses = others.slice(0, limits.addresses - 1);
          this.dial(address);
        }),
      onError: (_, cause) =>
        this.enter(() =>
          this.lost(new AgentError("connection/resolve", `${name}: no address`, { cause })),
        ),
    });
  }

  /** Goes out as there is room. */
  write(bytes: Uint8Array): void {
    this.#unsent = this.#unsent.length === 0 ? bytes.slice() : concat([this.#unsent, bytes]);
    this.flush();
  }

  /** @returns up to `count` bytes, or undefined when none are there */
  read(count: number): Uint8Array | undefined {
    if (this.#state === "closed") return undefined;
    const bytes = this.#socket?.read(count);
    return bytes === undefined || bytes.byteLength === 0 ? undefined : new Uint8Array(bytes);
  }

  close(): void {
    this.#state = "closed";
    this.#options.host.timer.clear(this.#deadline);
    this.#resolver?.close();
    this.#resolver = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }

  private dial(address: string): void {
    const { host, name, port, trustAnchors, now } = this.#options;
    this.within(limits.handshakeMs, `no TLS with ${address}`);
    const none = new Uint8Array(0);
    const secure = { trustAnchors, clientCertificates: [], clientKey: none, serverName: name, now };
    let mine: TLSSocket | undefined;
    try {
      mine = new host.tls.io({
        address,
        host: name,
        port,
        secure,
        onReadable: () => this.enter(() => this.#options.onReadable()),
        onWritable: count => this.enter(() => this.onWritable(count)),
        onError: cause =>
          this.enter(() => {
            // Of a socket that was given up for the next address.
            if (mine === this.#socket) this.failed(this.errorOf(cause));
          }),
      });
      this.#socket = mine;
    } catch (error) {
      this.lost(this.errorOf(error));
    }
  }

  private onWritable(count: number): void {
    this.#writable = count;
    if (this.#state === "dialing") {
      this.#state = "open";
      this.#addresses = [];
      this.#options.host.timer.clear(this.#deadline);
      this.#options.onOpen();
    } else this.flush();
  }

  private flush(): void {
    if (this.#state !== "open") return;
    const piece = this.#unsent.subarray(0, this.#writable);
    if (piece.length === 0) return;
    this.#unsent = this.#unsent.slice(piece.length);
    try {
      this.#writable = this.#socket!.write(piece);
    } catch (error) {
      this.lost(this.errorOf(error));
    }
  }

  /** Before the handshake is over, the name's next address is tried. */
  private failed(error: AgentError): void {
    const [next, ...others] = this.#addresses;
    if (this.#state !== "dialing" || next === undefined || this.#socket === undefined) {
      this.lost(error);
      return;
    }
    this.#socket.close();
    this.#addresses = others;
    this.dial(next);
  }

  private lost(error: AgentError): void {
    this.#state = "lost";
    this.#options.host.timer.clear(this.#deadline);
    this.#options.onLost(error);
  }

  /** With the server's name: a device has other links. */
  private errorOf(cause: unknown): AgentError {
    const { code, message } = asLinkError(cause);
    return new AgentError(code, `${this.#options.name}: ${message}`, { cause });
  }

  private within(delayMs: number, message: string): void {
    const { host, name } = this.#options;
    host.timer.clear(this.#deadline);
    const error = () =>
      new AgentError("connection/timeout", `${name}: ${message} in ${delayMs} ms`);
    this.#deadline = host.timer.set(() => this.enter(() => this.failed(error())), delayMs);
  }

  private enter(work: () => void): void {
    this.#options.door.enter(() => {
      if (this.#state === "dialing" || this.#state === "open") work();
    });
  }
}
