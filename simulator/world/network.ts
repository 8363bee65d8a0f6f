// A network in memory and in virtual time: what is sent arrives after the latency, in order, or the link is cut.
import { createHash } from "node:crypto";
import type { ResolveOptions, Resolver, TLSSocket, TLSSocketOptions } from "../../src/host.js";
import type { VirtualClock } from "./clock.js";
import type { Power } from "./power.js";

/** The server's end of one link. */
export interface ServerLink {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** What a server does with a link. */
export interface ServerHandlers {
  receive(bytes: Uint8Array): void;
  closed(): void;
}

export interface ServerPeer {
  /** Lower-case hex SHA-256 of the client's certificate, as AWS names it. */
  readonly certificateId: string | undefined;
  readonly address: string;
}

export type Accept = (link: ServerLink, peer: ServerPeer) => ServerHandlers;

/** Bytes a socket takes before the other end has read them. */
const windowBytes = 4096;

/** A server that answers, one that refuses the connection, one that is never heard of. */
export type Fate = "open" | "refused" | "silent";

export class Network {
  /** One way, in milliseconds. */
  latencyMs = 25;
  /** While false, dialing fails and links that exist are cut. */
  #isUp = true;
  readonly #clock: VirtualClock;
  readonly #accept: Accept;
  readonly #links = new Set<Link>();
  /** Sees every byte a device sends, for a test to look at. */
  onSent: (bytes: Uint8Array) => void = () => undefined;
  /** Sees every dial. */
  onDial: (options: TLSSocketOptions) => void = () => undefined;
  /** What becomes of a dial. */
  fate: (options: TLSSocketOptions) => Fate = () => "open";
  /** Links ever opened, for a test to count dials. */
  dialed = 0;

  constructor(clock: VirtualClock, accept: Accept) {
    this.#clock = clock;
    this.#accept = accept;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    if (!isUp) this.cutAll();
  }

  /** Links that are open or being opened: a leak shows here. */
  get open(): number {
    return this.#links.size;
  }

  /** Breaks every link there is; new ones can be opened. */
  cutAll(): void {
    for (const link of [...this.#links]) link.cut();
  }

  /** The socket and resolver classes of one device; they fall silent when its power goes. */
  classes(power: Power): {
    readonly socket: new (options: TLSSocketOptions) => TLSSocket;
    readonly resolver: new (options: object) => Resolver;
  } {
    const network = this;
    return {
      socket: class implements TLSSocket {
        readonly #link: Link;
        constructor(options: TLSSocketOptions) {
          this.#link = network.#open(options, power);
        }
        read(count?: number): ArrayBuffer | undefined {
          return this.#link.read(count);
        }
        write(bytes: Uint8Array): number {
          network.onSent(bytes);
          return this.#link.write(bytes);
        }
        close(): void {
          this.#link.close();
        }
      },
      resolver: class implements Resolver {
        #isOpen = true;
        resolve(options: ResolveOptions): void {
          network.#clock.set(() => {
            if (!this.#isOpen || !power.isOn) return;
            if (network.isUp) options.onResolved(options.host, "127.0.0.1");
            else options.onError(options.host, new Error("no network"));
          }, network.latencyMs * 2);
        }
        close(): void {
          this.#isOpen = false;
        }
      },
    };
  }

  #open(options: TLSSocketOptions, power: Power): Link {
    this.dialed++;
    this.onDial(options);
    const link = new Link(options, power, this.#clock, this.latencyMs, () =>
      this.#links.delete(link),
    );
    this.#links.add(link);
    const fate = this.fate(options);
    if (fate === "silent") return link;
    // TCP takes one round trip, TLS 1.3 another.
    this.#clock.set(
      () => (this.#isUp && fate === "open" ? link.connect(this.#accept) : link.cut()),
      this.latencyMs * 4,
    );
    return link;
  }
}

class Link {
  readonly #options: TLSSocketOptions;
  readonly #power: Power;
  readonly #clock: VirtualClock;
  readonly #latencyMs: number;
  readonly #onEnd: () => void;
  #server: ServerHandlers | undefined;
  #received: Uint8Array[] = [];
  #unread = 0;
  #inFlight = 0;
  #isOpen = true;
  #isBroken = false;

  constructor(
    options: TLSSocketOptions,
    power: Power,
    clock: VirtualClock,
    latencyMs: number,
    onEnd: () => void,
  ) {
    this.#options = options;
    this.#power = power;
    this.#clock = clock;
    this.#latencyMs = latencyMs;
    this.#onEnd = onEnd;
  }

  connect(accept: Accept): void {
    if (!this.#isAlive()) return;
    const certificate = this.#options.secure.clientCertificates[0];
    const certificateId = certificate && createHash("sha256").update(certificate).digest("hex");
    const server: ServerLink = {
      write: bytes => this.#later(() => this.#arrive(bytes)),
      close: () => this.#later(() => this.cut()),
    };
    this.#server = accept(server, { certificateId, address: "192.0.2.1" });
    this.#options.onWritable?.(windowBytes);
  }

  read(count = this.#unread): ArrayBuffer | undefined {
    if (this.#unread === 0) return undefined;
    const wanted = Math.min(count, this.#unread);
    const result = new Uint8Array(wanted);
    let at = 0;
    while (at < wanted) {
      const first = this.#received[0]!;
      const piece = first.subarray(0, wanted - at);
      result.set(piece, at);
      at += piece.length;
      if (piece.length === first.length) this.#received.shift();
      else this.#received[0] = first.subarray(piece.length);
    }
    this.#unread -= wanted;
    return result.buffer;
  }

  write(bytes: Uint8Array): number {
    if (bytes.length > windowBytes - this.#inFlight)
      throw new Error(`socket: ${bytes.length} bytes are more than announced`);
    const copy = bytes.slice();
    this.#inFlight += copy.length;
    const server = this.#server;
    // What was written before an orderly close still arrives; what was under way when the link broke does not.
    this.#clock.set(() => {
      if (this.#isBroken || !this.#power.isOn) return;
      server?.receive(copy);
      // The window opens when the acknowledgement is back.
      this.#later(() => {
        this.#inFlight -= copy.length;
        if (this.#isAlive()) this.#options.onWritable?.(windowBytes - this.#inFlight);
      });
    }, this.#latencyMs);
    return windowBytes - this.#inFlight;
  }

  /** The device closes. */
  close(): void {
    this.#end();
  }

  /** The link breaks, or the server closes. */
  cut(): void {
    if (!this.#isOpen) return;
    const wasAlive = this.#isAlive();
    this.#isBroken = true;
    this.#end();
    if (wasAlive) this.#clock.set(() => this.#options.onError?.(new Error("link cut")), 0);
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onEnd();
    const server = this.#server;
    this.#server = undefined;
    if (server) this.#clock.set(() => server.closed(), this.#latencyMs);
  }

  #arrive(bytes: Uint8Array): void {
    this.#received.push(bytes);
    this.#unread += bytes.length;
    this.#options.onReadable?.(this.#unread);
  }

  #isAlive(): boolean {
    return this.#isOpen && this.#power.isOn;
  }

  #later(work: () => void): void {
    this.#clock.set(() => {
      if (this.#isAlive()) work();
    }, this.#latencyMs);
  }
}
