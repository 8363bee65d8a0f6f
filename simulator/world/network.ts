// A network in memory and in virtual time: what is sent arrives after the latency, in order, or the link is cut; and every fault
// of faults.ts.
import { createHash } from "node:crypto";
import type {
  ResolverConstructor,
  TimerHandle,
  TLSSocket,
  TLSSocketOptions,
} from "../../src/host.js";
import { toPem } from "../../src/trust/pem.js";
import type { VirtualClock } from "./clock.js";
import type { Fate, FlowFaults, LinkFaults, NameFaults } from "./faults.js";
import { Flow } from "./flow.js";
import { resolverOf } from "./names.js";
import { type Power, poweredTimer } from "./power.js";
import { Random } from "./random.js";

export type { Fate } from "./faults.js";

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
  /** The certificate itself. */
  readonly certificatePem?: string;
  readonly address: string;
}

/** @param dialed whom the device asked for: one network may lead to several servers */
export type Accept = (
  link: ServerLink,
  peer: ServerPeer,
  dialed: Pick<TLSSocketOptions, "host" | "port">,
) => ServerHandlers;

/** Bytes a socket takes before the other end has read them. */
const windowBytes = 4096;

/** What a TLS 1.3 handshake takes: the device's greeting, the server's with its certificates. */
const greetingBytes = 250;
const serverFlightBytes = 3000;

export class Network {
  /** One way, in milliseconds. */
  latencyMs = 25;
  /** While false, dialing fails and links that exist are cut. */
  #isUp = true;
  readonly #clock: VirtualClock;
  readonly #accept: Accept;
  readonly #random: Random;
  readonly #links = new Set<Link>();
  /** Of every link, from the moment they are set. */
  faults: LinkFaults = {};
  /** Of every name. */
  names: NameFaults = {};
  /** Sees every byte a device sends, for a test to look at. */
  onSent: (bytes: Uint8Array) => void = () => undefined;
  /** Sees every dial. */
  onDial: (options: TLSSocketOptions) => void = () => undefined;
  /** What becomes of a dial. */
  fate: (options: TLSSocketOptions) => Fate = () => "open";
  /** Links ever opened, for a test to count dials. */
  dialed = 0;

  constructor(clock: VirtualClock, accept: Accept, random = new Random(1)) {
    this.#clock = clock;
    this.#accept = accept;
    this.#random = random;
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
    readonly resolver: ResolverConstructor;
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
      resolver: resolverOf({
        timer: poweredTimer(this.#clock, power),
        address: "127.0.0.1",
        faults: () => (this.#isUp ? this.names : { fate: "failed" }),
        delayMs: () => this.latencyMs * 2,
      }),
    };
  }

  #open(options: TLSSocketOptions, power: Power): Link {
    this.dialed++;
    this.onDial(options);
    const own = this.fate(options);
    const fate = own === "open" ? (this.faults.dial ?? "open") : own;
    const link = new Link({
      options,
      power,
      clock: this.#clock,
      random: this.#random,
      latencyMs: this.latencyMs,
      faults: () => this.faults,
      onEnd: () => this.#links.delete(link),
    });
    this.#links.add(link);
    if (fate !== "silent") {
      link.dial(() => (this.#isUp && fate === "open" ? this.#accept : undefined));
    }
    return link;
  }
}

interface LinkOptions {
  readonly options: TLSSocketOptions;
  readonly power: Power;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly latencyMs: number;
  faults(): LinkFaults;
  onEnd(): void;
}

class Link {
  readonly #options: LinkOptions;
  readonly #toServer: Flow;
  readonly #toDevice: Flow;
  #server: ServerHandlers | undefined;
  #received: Uint8Array[] = [];
  #unread = 0;
  #inFlight = 0;
  #isOpen = true;
  #isBroken = false;
  #reset: TimerHandle | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#toServer = this.#flow("toServer", bytes => this.#reach(bytes));
    this.#toDevice = this.#flow("toDevice", bytes => {
      if (this.#isAlive()) this.#arrive(bytes);
    });
    const { resetAfterMs } = options.faults();
    if (resetAfterMs === undefined) return;
    this.#reset = options.clock.set(() => this.cut(), resetAfterMs);
  }

  #flow(direction: "toServer" | "toDevice", deliver: (bytes: Uint8Array) => void): Flow {
    const { clock, random, latencyMs, faults } = this.#options;
    return new Flow({
      clock,
      timer: clock,
      random,
      latencyMs,
      faults: () => faults()[direction] ?? none,
      deliver,
      onReset: () => this.cut(),
    });
  }

  /** TCP takes one round trip, TLS 1.3 another. @param answer asked at their end: undefined for a refusal */
  dial(answer: () => Accept | undefined): void {
    const end = () => {
      const accept = answer();
      if (accept) this.#connect(accept);
      else this.cut();
    };
    const serverHello = () => this.#toDevice.carry(serverFlightBytes, end);
    const greet = () => this.#toServer.carry(greetingBytes, serverHello);
    this.#toServer.carry(0, () => this.#toDevice.carry(0, greet));
  }

  #connect(accept: Accept): void {
    if (!this.#isAlive()) return;
    const { options } = this.#options;
    const certificate = options.secure.clientCertificates[0];
    const certificateId = certificate && createHash("sha256").update(certificate).digest("hex");
    const server: ServerLink = {
      write: bytes => this.#toDevice.push(bytes),
      close: () => this.#toDevice.carry(0, () => this.#isAlive() && this.cut()),
    };
    const address = "192.0.2.1";
    const peer = {
      certificateId,
      address,
      ...(certificate ? { certificatePem: toPem(certificate, "CERTIFICATE") } : {}),
    };
    this.#server = accept(server, peer, options);
    options.onWritable?.(windowBytes);
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
    this.#toServer.push(copy);
    return windowBytes - this.#inFlight;
  }

  /** The device closes: what it wrote before still arrives. */
  close(): void {
    this.#end();
  }

  /** The link breaks, or the server closes: what was under way does not arrive. */
  cut(): void {
    if (!this.#isOpen) return;
    const wasAlive = this.#isAlive();
    this.#isBroken = true;
    this.#end();
    const { clock, options } = this.#options;
    if (wasAlive) clock.set(() => options.onError?.(new Error("link cut")), 0);
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#options.onEnd();
    this.#options.clock.clear(this.#reset);
    this.#toDevice.close();
    const server = this.#server;
    if (this.#isBroken) {
      this.#toServer.close();
      if (server) this.#options.clock.set(() => server.closed(), this.#options.latencyMs);
    } else if (server) this.#toServer.carry(0, () => server.closed());
    else this.#toServer.close();
  }

  /** Bytes of the device's reach the server. */
  #reach(bytes: Uint8Array): void {
    if (this.#isBroken || !this.#options.power.isOn) return;
    this.#server?.receive(bytes);
    if (this.#isOpen) this.#acknowledge(bytes.length);
  }

  /** The window opens when the acknowledgement is back. */
  #acknowledge(byteLength: number): void {
    const { clock, latencyMs, faults, options } = this.#options;
    clock.set(
      () => {
        if (!this.#isAlive() || this.#toDevice.isDark || faults().toDevice?.swallows) return;
        this.#inFlight -= byteLength;
        options.onWritable?.(windowBytes - this.#inFlight);
      },
      latencyMs + (faults().toDevice?.delayMs ?? 0),
    );
  }

  #arrive(bytes: Uint8Array): void {
    this.#received.push(bytes);
    this.#unread += bytes.length;
    this.#options.options.onReadable?.(this.#unread);
  }

  #isAlive(): boolean {
    return this.#isOpen && this.#options.power.isOn;
  }
}

const none: FlowFaults = Object.freeze({});
